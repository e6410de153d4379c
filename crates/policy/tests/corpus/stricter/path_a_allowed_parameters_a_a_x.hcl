path "a" {allowed_parameters={a=[] A=["x"]}}
