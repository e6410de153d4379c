path "a/+*{{identity.entity.id}}" {policy="read"}
