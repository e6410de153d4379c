path "{{identity.entity.aliases.x}}" {}
