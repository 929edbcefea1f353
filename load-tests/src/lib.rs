//! Measures what users of a running Meridian feel.
//!
//! In: the addresses of a running system. Out: a distribution of times as a table and as JSON; exit code 1 when something
//! that must arrive did not. It is a client like any other: hits over HTTP, reports over gRPC.

pub mod freshness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Drives load at a running Meridian and measures what its users feel.
#[derive(Debug, Parser)]
#[command(name = "meridian-load", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From the acknowledgement of a hit to the first report that contains it
    Freshness(freshness::Arguments),
}

/// Runs one command to its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("meridian-load: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match arguments.command {
        Command::Freshness(arguments) => runtime.block_on(freshness::run(arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meridian-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
