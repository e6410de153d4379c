path "a" {capabilities=["read","read"]}
