path "a" {allowed_parameters={"*"=["x"]}}
