storage "raft" { path = "a" }
backend "inmem" {}
storage "file" { path = "b" }
listner "tcp" {}
listener "unix" { address = "x" }
max_lease_ttl = "1h"
default_lease_ttl = "2h"
