path "a" {control_group={ttl="1h"}}
