path "a" {expiration=1}
