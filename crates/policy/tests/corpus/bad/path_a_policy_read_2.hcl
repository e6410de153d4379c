path "a" {policy="READ"}
