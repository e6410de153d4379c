//! Searches for what breaks `kms_ciphertext`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_ciphertext");
