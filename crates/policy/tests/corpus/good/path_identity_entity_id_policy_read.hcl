path "{{identity.entity.id}}" {policy="read"}
