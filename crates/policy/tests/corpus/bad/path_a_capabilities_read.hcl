path "a" {capabilities="read"}
