path "a" {capabilities={}}
