path "a" {max_wrapping_ttl="1m" min_wrapping_ttl="1s"}
