//! HCL 1 as Vault reads it, with positions for errors.
