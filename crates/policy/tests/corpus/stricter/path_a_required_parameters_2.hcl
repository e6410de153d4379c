path "a" {required_parameters={}}
