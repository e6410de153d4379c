path "a" {allowed_parameters={a "b" {c=1}}}
