path "a" {capabilities=[" read"]}
