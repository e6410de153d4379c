//! Audit records, their HMAC and chain, and devices.
