path "a" {mfa_methods=[1]}
