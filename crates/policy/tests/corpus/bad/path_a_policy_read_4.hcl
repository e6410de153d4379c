path "a" {Policy="read"}
