//! The `hub` binary: configuration in, [`hub::run`] until a signal.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::cli::main::<hub::Config, _, _>("hub", hub::run)
}
