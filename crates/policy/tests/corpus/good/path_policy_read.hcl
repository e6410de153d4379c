path "" {policy="read"}
