//! The edge as a process of its own: `edge-agent --config FILE`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::cli::main::<edge_agent::Config, _, _>("edge-agent", edge_agent::run)
}
