path "a" {
  capabilities = ["read"]
  comment = <<EOF
this
  EOF
}
