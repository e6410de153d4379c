path "a" {expiration="2006-01-02T15:04:05Z"}
