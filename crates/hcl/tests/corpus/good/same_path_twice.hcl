path "secret/*" {
  capabilities = ["read"]
}
path "secret/*" {
  capabilities = ["read"]
}
