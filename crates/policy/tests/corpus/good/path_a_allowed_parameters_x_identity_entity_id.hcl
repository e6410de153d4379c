path "a" {allowed_parameters={"x"=["{{identity.entity.id}}"]}}
