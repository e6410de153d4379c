path "a" {min_wrapping_ttl=200 max_wrapping_ttl=200}
