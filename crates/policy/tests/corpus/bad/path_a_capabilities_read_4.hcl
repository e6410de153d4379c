path "a" {capabilities=[["read"]]}
