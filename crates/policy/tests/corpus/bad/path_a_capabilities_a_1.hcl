path "a" {capabilities=[{a=1}]}
