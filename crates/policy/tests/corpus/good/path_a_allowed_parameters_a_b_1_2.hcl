path "a" {allowed_parameters={a {b=1}}}
