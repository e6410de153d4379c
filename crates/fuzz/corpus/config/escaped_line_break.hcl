storage "raft" { path = "a" }
listener "tcp" { tls_disable = true }
max_lease_ttl = "1h\
default_lease_ttl = "2h"
