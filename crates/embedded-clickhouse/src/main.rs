//! The `embedded-clickhouse` binary: command line, then [`embedded_clickhouse::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    service::cli::main::<embedded_clickhouse::Config, _, _>("embedded-clickhouse", embedded_clickhouse::run)
}
