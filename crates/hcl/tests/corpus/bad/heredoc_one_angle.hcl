name = <EOF
x
EOF
