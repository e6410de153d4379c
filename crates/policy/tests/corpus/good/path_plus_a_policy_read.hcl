path "/+/a" {policy="read"}
