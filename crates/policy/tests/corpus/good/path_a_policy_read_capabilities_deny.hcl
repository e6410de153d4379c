path "a" {policy="read" capabilities=["deny"]}
