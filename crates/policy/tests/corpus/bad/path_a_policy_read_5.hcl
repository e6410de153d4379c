Path "a" {policy="read"}
