path "{{" {policy="read"}
