path "a/{{identity.entity.id}" {}
