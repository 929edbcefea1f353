//! Compiles the `.proto` files with protox: no `protoc` binary is needed.
//!
//! `google/api` holds Google's annotations for REST paths, as googleapis-common-protos 1.76.0 has them on PyPI.

use std::error::Error;
use std::path::PathBuf;

use protox::Compiler;

/// Every service and message file, relative to this folder.
const FILES: [&str; 12] = [
    "meridian/hit/v1/hit.proto",
    "meridian/batch/v1/batch.proto",
    "meridian/feed/v1/feed.proto",
    "meridian/report/v1/report.proto",
    "meridian/config/v1/property.proto",
    "meridian/config/v1/stream.proto",
    "meridian/config/v1/erasure.proto",
    "meridian/config/v1/organisation.proto",
    "meridian/config/v1/key.proto",
    "meridian/config/v1/distribution.proto",
    "meridian/config/v1/log.proto",
    "meridian/config/v1/stored.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=meridian");
    println!("cargo::rerun-if-changed=google");
    let mut compiler = Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // protox's own encoder keeps the annotations; the descriptor types that code is made of drop them.
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let mut files = compiler.file_descriptor_set();
    // Google's comments are no rustdoc: their links lead nowhere here.
    for file in files.file.iter_mut().filter(|file| file.name().starts_with("google/")) {
        file.source_code_info = None;
    }
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
