path "a" {comment="{{"}
