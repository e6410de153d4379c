path "}}" {policy="read"}
