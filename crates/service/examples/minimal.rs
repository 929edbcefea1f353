//! The smallest service: what a `main.rs` and a `run` look like. The integration tests start it as a process.
//!
//! In: a TOML file. Out: an admin port and a ready line; it ends by SIGTERM. `mode` makes it misbehave for the tests.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use service::admin::{AdminServer, status_fn};
use service::logs::LogConfig;
use service::status::{ServiceReport, ServiceStatus};
use service::{Context, ServiceConfig, TaskGroup};

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Where the admin port listens; port 0 for any free one.
    admin_listen: SocketAddr,
    /// How long a drain may take, in milliseconds.
    grace_ms: u64,
    mode: Mode,
    log: LogConfig,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Ends when told to.
    Obey,
    /// Never ends its drain.
    Hang,
    /// Fails by itself.
    Fail,
}

impl Default for Config {
    fn default() -> Self {
        let admin_listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { admin_listen, grace_ms: 600_000, mode: Mode::Obey, log: LogConfig::default() }
    }
}

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        if self.grace_ms == 0 {
            return Err("grace_ms is 0, which leaves no time to drain; use at least 1".into());
        }
        Ok(())
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn main() -> ExitCode {
    service::cli::main("minimal", run)
}

async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let status = status_fn(|| ServiceReport {
        services: vec![ServiceStatus::new("minimal", "1")],
        ..ServiceReport::default()
    });
    let admin = AdminServer::start(&context, config.admin_listen, status, axum::Router::new()).await?;
    let mut tasks = TaskGroup::new(context.shutdown.clone());
    let shutdown = context.shutdown.clone();
    tasks.spawn("work", async move {
        match config.mode {
            Mode::Obey => shutdown.cancelled().await,
            Mode::Hang => std::future::pending().await,
            Mode::Fail => anyhow::bail!("told to fail"),
        }
        Ok(())
    });
    context.announce_ready("minimal", Map::from_iter([("admin".to_owned(), json!(admin.url()))]))?;
    tasks.run(Duration::from_millis(config.grace_ms)).await?;
    Ok(())
}
