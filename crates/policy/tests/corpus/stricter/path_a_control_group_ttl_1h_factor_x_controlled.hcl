path "a" {control_group={ttl="1h" factor "x" {controlled_capabilities=["create"] identity={group_names=["a"] approvals=1}}}}
