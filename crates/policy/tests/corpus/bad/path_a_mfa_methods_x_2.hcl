path "a" {mfa_methods="x"}
