path "a" {comment{}}
