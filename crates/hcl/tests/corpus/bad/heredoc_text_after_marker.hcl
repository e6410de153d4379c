name = <<EOF x
EOF
