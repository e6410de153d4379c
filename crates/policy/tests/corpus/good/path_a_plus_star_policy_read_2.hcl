path "a/+/*" {policy="read"}
