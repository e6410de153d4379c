path "a" {policy=1}
