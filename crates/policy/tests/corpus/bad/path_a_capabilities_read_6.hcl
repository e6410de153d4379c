{"path":{"a":{"capabilities":"read"}}}
