path "a" {comment="x"}
