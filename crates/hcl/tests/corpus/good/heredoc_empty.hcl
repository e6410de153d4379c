path "a" {
  capabilities = ["read"]
  comment = <<EOF
EOF
}
