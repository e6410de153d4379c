path "a\nb" {policy="read"}
