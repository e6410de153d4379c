storage "raft" {
  path = "data"
  node_id = "node-1"
}
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
  tls_min_version = "tls12"
  max_request_size = 1048576
}
api_addr = "https://127.0.0.1:8200"
cluster_addr = "https://127.0.0.1:8201"
disable_mlock = true
default_lease_ttl = "168h"
max_lease_ttl = "720h"
log_level = "debug"
log_format = "json"
