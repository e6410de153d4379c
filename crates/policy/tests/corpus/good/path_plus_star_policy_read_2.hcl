path "+/*" {policy="read"}
