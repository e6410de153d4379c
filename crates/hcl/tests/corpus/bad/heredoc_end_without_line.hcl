name = <<EOF
x
EOF