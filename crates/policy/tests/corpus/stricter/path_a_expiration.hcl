path "a" {expiration=""}
