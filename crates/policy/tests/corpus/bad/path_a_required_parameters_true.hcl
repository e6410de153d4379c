path "a" {required_parameters=[true]}
