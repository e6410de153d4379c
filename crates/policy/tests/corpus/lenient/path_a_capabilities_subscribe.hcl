path "a" {capabilities=["subscribe"]}
