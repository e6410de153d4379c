path "a" {comment=1}
