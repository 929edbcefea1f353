//! The `api` binary: command line, then [`api::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    service::cli::main::<api::Config, _, _>("api", api::run)
}
