path "a" {policy=["read"]}
