path "a" {
  capabilities = ["create"]
  allowed_parameters = { x = [<<EOF
read
EOF
  , 1] }
}
