# {{ x
path "a" {policy="read"}
