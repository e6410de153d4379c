path "a" {max_wrapping_ttl="99999999999h"}
