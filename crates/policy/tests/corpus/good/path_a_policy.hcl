path "a" {policy=""}
