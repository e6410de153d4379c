path "a" {capabilities=1}
