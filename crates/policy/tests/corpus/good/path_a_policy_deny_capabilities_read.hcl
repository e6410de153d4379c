path "a" {policy="deny" capabilities=["read"]}
