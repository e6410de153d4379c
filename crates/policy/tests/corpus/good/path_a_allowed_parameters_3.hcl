path "a" {allowed_parameters={""=[]}}
