path "//a" {policy="read"}
