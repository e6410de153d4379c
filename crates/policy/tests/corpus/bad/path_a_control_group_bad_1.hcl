path "a" {control_group{bad=1}}
