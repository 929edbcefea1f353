//! `meridian config`: backup and restore of everything that is configured.
//!
//! Both work on the object store itself, since there is no api to ask where there is no configuration yet.

use std::path::PathBuf;
use std::sync::Arc;

use api::history::backup::{self, BackupError, Copied};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use service::SystemClock;
use store::StoreConfig;

use crate::property::Format;
use crate::services::DataOptions;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
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
/// When store or file cannot be used.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let bar =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} versions")?);
    let (store, done) = match command {
        Command::Backup(BackupArguments { to, store }) => {
            let objects = store.open()?;
            let copied =
                blocking(move || backup::backup(objects, runtime, &to, &mut |at| bar.set_position(at)))
                    .await?;
            (store, copied)
        }
        Command::Restore(RestoreArguments { from, store }) => {
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
