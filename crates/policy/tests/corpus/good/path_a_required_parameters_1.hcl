path "a" {required_parameters=[1]}
