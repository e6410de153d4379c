path "a" {
  capabilities = ["create"]
  allowed_parameters {
    "a" = []
    b = ["x", "y"]
  }
}