# The same node as in production.toml, as Vault's users write it.

api_addr     = "https://vault.example.com:8200"
cluster_addr = "https://vault.example.com:8201"
cluster_name = "production"

default_lease_ttl = "24h"
max_lease_ttl     = "768h"

log_level  = "info"
log_format = "json"

# Ours: the only folder that audit devices made over the API may write to.
audit_directory = "/var/log/secretum"

storage "raft" {
  path    = "/var/lib/secretum"
  node_id = "node-1"
}

listener "tcp" {
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_cert_file   = "/etc/secretum/tls/chain.pem"
  tls_key_file    = "/etc/secretum/tls/key.pem"
  tls_min_version = "tls13"
}

listener "tcp" {
  address              = "127.0.0.1:8300"
  tls_cert_file        = "/etc/secretum/tls/chain.pem"
  tls_key_file         = "/etc/secretum/tls/key.pem"
  max_request_size     = 1048576
  max_request_duration = "30s"
}
