//! The `kms-service` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    secretum_kms_service::main(std::env::args_os())
}
