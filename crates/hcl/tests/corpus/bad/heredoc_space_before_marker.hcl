name = << EOF
x
EOF
