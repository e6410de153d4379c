path "*" {policy="read"}
