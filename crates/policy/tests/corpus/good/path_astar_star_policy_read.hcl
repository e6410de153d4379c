path "a**" {policy="read"}
