path "secret/*" {
  capabilities = ["read"]
}
# the end