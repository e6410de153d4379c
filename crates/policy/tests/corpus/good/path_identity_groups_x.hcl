path "{{identity.groups.x}}" {}
