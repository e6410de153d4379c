path "a" {allowed_parameters {a=[]} allowed_parameters {b=[]}}
