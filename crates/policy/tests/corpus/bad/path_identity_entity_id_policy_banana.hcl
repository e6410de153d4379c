path "{{identity.entity.id}}" {policy="banana"}
