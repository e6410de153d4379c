path "+*" {policy="read"}
