//! The command line of a service binary, from arguments to exit code.
//!
//! A service's `main.rs` is `service::cli::main::<Config, _, _>("hub", |config, context| hub::run(config, context))`.
//! Exit codes: 0 done, 1 the service failed, 2 wrong usage or configuration. Errors are one sentence on stderr.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::SystemClock;
use crate::config::{self, ConfigError};
use crate::context::Context;
use crate::logs::{self, LogConfig};
use crate::signals;

/// Exit code for wrong usage or a configuration that is refused.
const EXIT_CODE_USAGE: u8 = 2;

/// How long threads of the runtime that are still busy are waited for after the service has ended.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// What every service's configuration can do.
pub trait ServiceConfig: DeserializeOwned + Serialize + Default + Send + 'static {
    /// Checks the values; the error is a sentence that names field, value and way out.
    fn validate(&self) -> Result<(), String>;

    /// Where the admin port listens.
    fn admin_listen(&self) -> SocketAddr;

    /// The `[log]` table.
    fn log(&self) -> &LogConfig;
}

/// The arguments of every service binary.
#[derive(Debug, Clone, Parser)]
pub struct ServiceArgs {
    /// The service's configuration, a TOML file
    #[arg(long, value_name = "FILE", required_unless_present = "print_default_config")]
    pub config: Option<PathBuf>,

    /// Read and check the configuration, then exit
    #[arg(long)]
    pub check_config: bool,

    /// Print the default configuration as TOML, then exit
    #[arg(long)]
    pub print_default_config: bool,

    /// Be killed when the process that started this one dies
    #[arg(long)]
    pub die_with_parent: bool,
}

enum Failure {
    Usage(String),
    Run(String),
}

/// Runs a service from its command line to its exit code.
pub fn main<C, F, Fut>(service: &'static str, run: F) -> ExitCode
where
    C: ServiceConfig,
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let arguments = match parse_arguments(service, std::env::args_os()) {
        Ok(arguments) => arguments,
        // clap prints help and version through the same path, with exit code 0.
        Err(error) => error.exit(),
    };
    let outcome =
        if arguments.print_default_config { print_default::<C>() } else { start(service, &arguments, run) };
    let (code, message) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (EXIT_CODE_USAGE, message),
        Err(Failure::Run(message)) => (1, message),
    };
    eprintln!("{service}: {message}");
    ExitCode::from(code)
}

fn parse_arguments(
    service: &'static str,
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<ServiceArgs, clap::Error> {
    let command = ServiceArgs::command()
        .name(service)
        .bin_name(service)
        .about(format!("Meridian's {service} service"))
        .version(env!("CARGO_PKG_VERSION"));
    ServiceArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn print_default<C: ServiceConfig>() -> Result<(), Failure> {
    let text = config::print_default::<C>().map_err(|error| Failure::Run(error.to_string()))?;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::Run(format!("cannot print the default configuration: {error}")))
}

fn start<C, F, Fut>(service: &'static str, arguments: &ServiceArgs, run: F) -> Result<(), Failure>
where
    C: ServiceConfig,
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    if arguments.die_with_parent {
        die_with_parent()
            .map_err(|error| Failure::Run(format!("cannot bind to the parent's life: {error}")))?;
    }
    let config: C = load_and_validate(arguments).map_err(|error| Failure::Usage(error.to_string()))?;
    if arguments.check_config {
        return Ok(());
    }
    logs::init(config.log()).map_err(Failure::Run)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name(service)
        .build()
        .map_err(|error| Failure::Run(format!("cannot start the runtime: {error}")))?;
    let context = Context::new(SystemClock::shared());
    let outcome = runtime.block_on(async {
        signals::cancel_on_signal(context.shutdown.clone())?;
        Box::pin(run(config, context)).await
    });
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    outcome.map_err(|error| Failure::Run(format!("{error:#}")))
}

fn load_and_validate<C: ServiceConfig>(arguments: &ServiceArgs) -> Result<C, ConfigError> {
    let path = arguments.config.clone().unwrap_or_default();
    let config: C = config::load(&path)?;
    match config.log().validate().and_then(|()| config.validate()) {
        Ok(()) => Ok(config),
        Err(message) => Err(ConfigError::Rejected { path, message }),
    }
}

/// Asks the kernel to kill this process when the thread that started it ends.
///
/// SIGKILL and no drain: a draining orphan would hold ports and database locks that a restarted parent's children
/// need. The kernel watches the *thread* of the parent, so a parent starts its children from a thread that lives on.
/// Must run before this process has threads.
pub fn die_with_parent() -> nix::Result<()> {
    let parent = getppid();
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        // It died in between, and no signal will come.
        std::process::exit(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
