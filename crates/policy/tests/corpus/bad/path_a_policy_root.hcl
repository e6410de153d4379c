path "a" {policy="root"}
