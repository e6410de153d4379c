path "a" {capabilities=["scan"]}
