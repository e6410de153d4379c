path "a" {capabilities=["deny","banana"]}
