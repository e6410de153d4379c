path "a" {allowed_parameters=1}
