//! The `meridian-load` command: see `meridian-load --help`.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    load_tests::run(load_tests::Arguments::parse())
}
