path "a" {min_wrapping_ttl=400 max_wrapping_ttl=200}
