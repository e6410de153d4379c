path "a" {min_wrapping_ttl="1.5s"}
