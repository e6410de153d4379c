//! The `kms-service` binary.

use std::process::ExitCode;

/// As in `secretum`: the system's allocator takes longer for a request.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    secretum_kms_service::main(std::env::args_os())
}
