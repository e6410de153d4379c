path "a" {policy {} }
