path "a" {expiration="x"}
