//! `meridian config`: what is configured as a file, and backup and restore of every version of it.
//!
//! `export` and `apply` are clients of the api: one writes the file, the other makes what is configured as the file says. `backup` and
//! `restore` work on the object store itself, since there is no api to ask where there is no configuration yet.

mod model;
mod sparse;
mod there;
mod export;
mod resolve;
mod check;
mod keys;
mod plan;
mod entry;
mod carry_out;
mod secrets;
mod apply;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use api::history::backup::{self, BackupError, Copied};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use service::SystemClock;
use store::StoreConfig;

use crate::Failure;
use crate::property::Format;
use crate::services::DataOptions;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print what is configured as a file: organisations, members, properties, rules, aliases, report keys
    Export(export::Arguments),
    /// Make what is configured as such a file says; prints what differs
    Apply(apply::Arguments),
    /// Copy every version of the configuration into a file
    Backup(BackupArguments),
    /// Make the configuration of an empty store from such a file; the apis must not run
    Restore(RestoreArguments),
}

/// Where the store is.
#[derive(Debug, Args)]
struct Store {
    /// The object store, as `config.store.url` of the api; without it that of `meridian dev` in --data
    #[arg(long, env = "MERIDIAN_STORE", value_name = "URL")]
    store: Option<String>,
    #[command(flatten)]
    data: DataOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `config backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The file to write; readable by its owner only, for it holds hashes of keys
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    store: Store,
}

/// Arguments of `config restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    store: Store,
}

/// Runs the command.
///
/// # Errors
/// When API, store or file cannot be used; of a dry run of `apply` also when anything differs.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Export(arguments) => Ok(export::run(arguments).await?),
        Command::Apply(arguments) => apply::run(arguments).await,
        Command::Backup(arguments) => Ok(copy(Direction::Backup(arguments)).await?),
        Command::Restore(arguments) => Ok(copy(Direction::Restore(arguments)).await?),
    }
}

enum Direction {
    Backup(BackupArguments),
    Restore(RestoreArguments),
}

async fn copy(direction: Direction) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let bar =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} versions")?);
    let (store, done) = match direction {
        Direction::Backup(BackupArguments { to, store }) => {
            let objects = store.open()?;
            let copied =
                blocking(move || backup::backup(objects, runtime, &to, &mut |at| bar.set_position(at)))
                    .await?;
            (store, copied)
        }
        Direction::Restore(RestoreArguments { from, store }) => {
            let (objects, now_ms) = (store.open()?, SystemClock::shared().now_ms());
            let told = move |at| bar.set_position(at);
            let copied =
                blocking(move || backup::restore(objects, runtime, &from, now_ms, &mut { told })).await?;
            (store, copied)
        }
    };
    let Copied { versions, version } = done;
    match store.format {
        Format::Json => println!("{}", json!({ "versions": versions, "version": version })),
        Format::Table => println!("{versions} versions, the newest is {version}"),
    }
    Ok(())
}

impl Store {
    fn open(&self) -> anyhow::Result<Arc<dyn object_store::ObjectStore>> {
        let config = match &self.store {
            Some(url) => StoreConfig { url: url.clone() },
            None => StoreConfig::local(&std::path::absolute(self.data.data.join("store"))?)?,
        };
        Ok(store::open(&config)?)
    }
}

async fn blocking(
    copy: impl FnOnce() -> Result<Copied, BackupError> + Send + 'static,
) -> anyhow::Result<Copied> {
    Ok(tokio::task::spawn_blocking(copy).await??)
}

/// Unlike `println!` it does not end the process when nobody listens any more: calls may be under way.
fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output is closed")
}
