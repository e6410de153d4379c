path "a/b+*/c*" {policy="read"}
