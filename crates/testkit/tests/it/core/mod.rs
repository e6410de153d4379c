//! `secretum_core::Core`, driven request by request over a storage that can be made to fail.

mod activity;
mod audit;
mod authorize;
mod batch;
mod cedar;
mod ceremonies;
mod cluster;
mod commits;
mod leases;
mod lifecycle;
mod limits;
mod lives;
mod mounts;
mod openapi;
mod policies;
mod quotas;
mod remount;
mod revoke;
mod rotation;
mod sealing;
mod timers;
mod tokens;
mod tools;
mod transfers;
mod tuning;
mod upgrade;
