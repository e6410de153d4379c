//! Makes the types and services of `proto/`. `protox` compiles them: no `protoc` is needed.

use std::error::Error;

const SOURCES: [&str; 2] = ["keyservice.proto", "datakey.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let described = protox::compile(SOURCES, ["proto"])?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed=proto/{source}");
    }
    tonic_prost_build::configure()
        // What they hold is secret.
        .skip_debug(["."])
        // Of what is sent, whose memory can be zeroed when it was sent.
        .bytes(".DecryptResponse")
        .bytes(".kms.GetDataKeyResponse")
        .compile_fds(described)?;
    Ok(())
}
