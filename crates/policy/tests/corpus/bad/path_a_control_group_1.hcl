path "a" {control_group=1}
