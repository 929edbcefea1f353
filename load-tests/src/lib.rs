//! Drives load at a running Meridian, measures what its users feel, and compares reports with what it was told.
//!
//! In: a scenario, a seed, the addresses of a running system. Out: distributions as tables, JSON and a page; exit code 1
//! when something that must arrive did not. It is a client like any other: hits over HTTP, reports over gRPC. Invariant:
//! what is sent, and when, is decided before the first answer.
// `mod` lines in the order of the flow.

pub mod scenario;
pub mod arrivals;
pub mod generate;
pub mod properties;
pub mod seed;
pub mod send;
pub mod measure;
pub mod tally;
pub mod api;
pub mod verify;
pub mod run;
pub mod sink;
pub mod freshness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::End;
use crate::scenario::Scenario;

/// Exit code after a signal: 128 + SIGINT.
const STOPPED: u8 = 130;

/// Drives load at a running Meridian and measures what its users feel.
#[derive(Debug, Parser)]
#[command(name = "meridian-load", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send the load of a scenario, open loop; with --verify compare reports with what was acknowledged
    Run(Box<run::Arguments>),
    /// Print a scenario with every field and its default
    Scenario,
    /// Answer 204 to everything: what the generator itself is measured against
    Sink(sink::Arguments),
    /// Write many properties at once into the configuration's log
    Seed(seed::Arguments),
    /// From the acknowledgement of a hit to the first report that contains it
    Freshness(freshness::Arguments),
}

/// Runs one command to its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    match outcome(arguments.command) {
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::Different) => ExitCode::FAILURE,
        Ok(End::Stopped) => ExitCode::from(STOPPED),
        Err(error) => {
            eprintln!("meridian-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn outcome(command: Command) -> anyhow::Result<End> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build();
    match command {
        Command::Run(arguments) => runtime()?.block_on(run::run(*arguments)),
        Command::Scenario => {
            print!("{}", toml::to_string(&Scenario::default())?);
            Ok(End::Good)
        }
        Command::Sink(arguments) => sink::run(&arguments).map(|()| End::Good),
        Command::Seed(arguments) => runtime()?.block_on(seed::seed(arguments)).map(|()| End::Good),
        Command::Freshness(arguments) => runtime()?.block_on(freshness::run(arguments)).map(|()| End::Good),
    }
}
