{"path":{"a":{"capabilities":["read"],"allowed_parameters":{"x":["a"],"*":[]},"required_parameters":["x"],"min_wrapping_ttl":"5s"}}}
