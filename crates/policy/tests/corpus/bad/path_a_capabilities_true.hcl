path "a" {capabilities=[true]}
