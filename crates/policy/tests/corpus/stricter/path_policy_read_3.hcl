path {policy="read"}
