path "a/+*" {policy="read"}
