//! Cryptographic primitives, secret types, Shamir sharing, randomness and clock.
