path "a" {CAPABILITIES=["read"]}
