path "{{identity.groups.ids.x.name}}" {}
