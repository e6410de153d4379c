path "{{}}" {policy="read"}
