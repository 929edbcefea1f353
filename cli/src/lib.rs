//! The `meridian` command line: run everything on one machine, create properties, import logs, ask for reports.
//!
//! In: arguments. Out: answers on stdout, one sentence on stderr when something is wrong, exit code 0 only on success
//! (1 failed, 2 wrong usage, 3 timed out while waiting, 4 a dry run of `config apply` found differences). Every command
//! but `dev` is a client of the services' own interfaces and knows nothing that another client could not know.

pub mod http_client;
pub mod services;
mod print;
pub mod dev;
pub mod erase;
pub mod property;
pub mod rule;
pub mod alias;
pub mod config;
pub mod org;
pub mod member;
pub mod key;
pub mod audit;
pub mod usage;
pub mod import;
pub mod report;
pub mod status;
pub mod stream;
pub mod tail;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Web analytics that count every acknowledged hit exactly once.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every service on this machine, with the embedded warehouse
    Dev(dev::Arguments),
    /// Create, list, show and change properties
    #[command(subcommand)]
    Property(property::Command),
    /// Show and set the rules of a property, and show their versions
    #[command(subcommand)]
    Rule(rule::Command),
    /// Let clients of other products send to a property
    #[command(subcommand)]
    Alias(alias::Command),
    /// Erase visitors and what is past its retention, and see how far that is
    #[command(subcommand)]
    Erase(erase::Command),
    /// Make, list, rename and delete data streams: where hits of a property come from
    #[command(subcommand)]
    Stream(stream::Command),
    /// What is configured as a file: export and apply it, back up and restore all versions
    #[command(subcommand)]
    Config(config::Command),
    /// Make, show and rename organisations
    #[command(subcommand)]
    Org(org::Command),
    /// Add, change, remove and list the members of an organisation
    #[command(subcommand)]
    Member(member::Command),
    /// Create, list, revoke and rotate keys
    #[command(subcommand)]
    Key(key::Command),
    /// Show who changed what in the configuration
    Audit(audit::Arguments),
    /// Show how many hits each property had, by month
    Usage(usage::Arguments),
    /// Send what was recorded elsewhere
    #[command(subcommand)]
    Import(import::Command),
    /// Ask for a report
    Report(report::Arguments),
    /// Show hits as they come: is my tag working?
    Tail(tail::Arguments),
    /// Show what is accepted, loaded and still under way
    Status(status::Arguments),
}

/// Why a command did not succeed, and the exit code that says so.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong: exit code 1.
    Failed(anyhow::Error),
    /// Waited as long as asked to: exit code 3.
    TimedOut(String),
    /// A dry run found differences, and has printed them: exit code 4.
    Differs,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs one command to its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("meridian: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(Box::pin(dispatch(arguments.command)));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            eprintln!("meridian: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::TimedOut(message)) => {
            eprintln!("meridian: {message}");
            ExitCode::from(3)
        }
        Err(Failure::Differs) => ExitCode::from(4),
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(arguments) => Ok(dev::run(arguments).await?),
        Command::Property(command) => Ok(property::run(command).await?),
        Command::Rule(command) => Ok(rule::run(command).await?),
        Command::Alias(command) => Ok(alias::run(command).await?),
        Command::Stream(command) => Ok(stream::run(command).await?),
        Command::Erase(command) => erase::run(command).await,
        Command::Config(command) => config::run(command).await,
        Command::Org(command) => Ok(org::run(command).await?),
        Command::Member(command) => Ok(member::run(command).await?),
        Command::Key(command) => Ok(key::run(command).await?),
        Command::Audit(arguments) => Ok(audit::run(arguments).await?),
        Command::Usage(arguments) => Ok(usage::run(arguments).await?),
        Command::Import(command) => Ok(import::run(command).await?),
        Command::Report(arguments) => Ok(report::run(arguments).await?),
        Command::Tail(arguments) => Ok(tail::run(arguments).await?),
        Command::Status(arguments) => status::run(arguments).await,
    }
}
