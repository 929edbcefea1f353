//! Compiles the `.proto` files with protox: no `protoc` binary is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

/// Every service and message file, relative to this folder.
const FILES: [&str; 5] = [
    "meridian/hit/v1/hit.proto",
    "meridian/batch/v1/batch.proto",
    "meridian/feed/v1/feed.proto",
    "meridian/report/v1/report.proto",
    "meridian/config/v1/property.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=meridian");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
