name = <<-EOF
  x
EOF
