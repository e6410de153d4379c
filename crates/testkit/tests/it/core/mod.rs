//! `secretum_core::Core`, driven request by request over a storage that can be made to fail.

mod audit;
mod authorize;
mod batch;
mod cedar;
mod commits;
mod lifecycle;
mod limits;
mod lives;
mod mounts;
mod openapi;
mod policies;
mod revoke;
mod tokens;
mod tools;
mod tuning;
mod upgrade;
