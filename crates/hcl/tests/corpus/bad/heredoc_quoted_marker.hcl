name = <<"EOF"
x
EOF
