path "a" {capabilities=["root"]}
