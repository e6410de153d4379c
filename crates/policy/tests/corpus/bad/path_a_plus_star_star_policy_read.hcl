path "a/+**" {policy="read"}
