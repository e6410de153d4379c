path "/" {policy="read"}
