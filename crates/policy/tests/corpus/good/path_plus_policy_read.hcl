path "+" {policy="read"}
