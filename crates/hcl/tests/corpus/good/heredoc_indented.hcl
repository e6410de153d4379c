path "a" {
  capabilities = ["read"]
  comment = <<-EOF
    this
      is it
    EOF
}
