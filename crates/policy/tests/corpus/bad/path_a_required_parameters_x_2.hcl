path "a" {required_parameters="x"}
