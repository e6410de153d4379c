path "a" {control_group={ttl="1h" factor "x" {identity={group_names=["a"] approvals=1}}}}
