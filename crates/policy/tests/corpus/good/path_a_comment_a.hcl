path "a" {comment=["a"]}
