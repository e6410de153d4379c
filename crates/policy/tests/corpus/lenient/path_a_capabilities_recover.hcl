path "a" {capabilities=["recover"]}
