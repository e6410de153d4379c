path "a" {min_wrapping_ttl="-1s"}
