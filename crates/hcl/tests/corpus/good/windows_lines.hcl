# c
path "secret/*" {
  capabilities = ["read"]
}
path "a" {
  comment = <<EOF
x
EOF
  capabilities = ["read"]
}
