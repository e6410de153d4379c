path "a" {policy="sudo"}
