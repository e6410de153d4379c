path "a" {max_wrapping_ttl=9999999999999}
