//! Root key, keyring, seal, and the encrypted view of a storage.
