//! The loader as a process of its own.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::cli::main("warehouse-loader", |config: warehouse_loader::Config, context| {
        warehouse_loader::run(config, context)
    })
}
