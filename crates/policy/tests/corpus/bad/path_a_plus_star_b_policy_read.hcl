path "a/+*/b" {policy="read"}
