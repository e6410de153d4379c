path "{{identity.entity.metadata}}" {policy="read"}
