path "a" {policy="write"}
