# a
// b
/* c
 * d */ path /* e */ "secret/*" /* f */ { # g
  capabilities = [ # h
    "read", // i
    /* j */ "list" # k
  ] // l
} // m