path "a" {capabilities=["READ"]}
