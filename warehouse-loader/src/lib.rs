//! The warehouse loader: every batch that the hubs stored reaches the warehouse once.
//!
//! ```text
//! consume (list, feed) -> plan (create if absent) -> insert -> verify -> done -> retire (checkpoint, delete)
//! open erasures        -> plan                    -> erase  -> verify -> done
//! ```
//!
//! In: segments of the rollup lane. Out: rows in ClickHouse, watermarks, checkpoints. Its only state is in the object
//! store: the newest checkpoint and the plans after it. Several loaders may run side by side.

pub mod config;
pub mod consume;
pub mod plan;
pub mod insert;
pub mod verify;
pub mod erase;
pub mod retire;
pub mod load;
pub mod document;
pub mod plan_log;
pub mod rows;
pub mod erased;
pub mod send;
pub mod metrics;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use service::admin::AdminServer;
use service::{Context, ServiceConfig, TaskGroup};
use tokio::sync::Notify;

pub use config::Config;

use consume::Consumer;
use erase::Eraser;
use erased::Erased;
use erasure::Jobs;
use insert::Backoff;
use load::{Loader, Parts};
use metrics::LoaderMetrics;
use plan::{Ledger, Planner};
use plan_log::PlanLog;
use retire::Retirer;
use send::Sender;
use status::LoaderStatus;
use verify::Verifier;

/// The one shard there is.
const SHARD: u16 = 0;

/// Runs the loader until shutdown.
///
/// # Errors
/// When the configuration cannot work, the store lets an object be created twice, or the warehouse's tables are not those
/// of this build.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let metrics = context.registry.register(LoaderMetrics::new);
    let status = LoaderStatus::default();
    let answer = status.status_fn(config.id.clone(), context.clock.clone());
    let admin = AdminServer::start(&context, config.admin_listen(), answer, axum::Router::new()).await?;
    let Some(loader) = build(&config, &context, metrics, status).await? else {
        return Ok(());
    };
    let (task, wake) = loader;
    let mut tasks = TaskGroup::new(context.shutdown.clone());
    for hub in config.feed.hubs.clone() {
        let watch =
            consume::feed::watch(config.feed.clone(), hub, Arc::clone(&wake), context.shutdown.clone());
        tasks.spawn("feed", async move {
            watch.await;
            Ok(())
        });
    }
    tasks.spawn("load", task.run());
    let fields = serde_json::Map::from_iter([("admin".to_owned(), admin.url().into())]);
    context.announce_ready("loader", fields)?;
    tasks.run(Duration::from_millis(config.shutdown_grace_ms)).await?;
    Ok(())
}

/// Everything up to the loading task; `None` if shutdown came first.
async fn build(
    config: &Config,
    context: &Context,
    metrics: LoaderMetrics,
    status: LoaderStatus,
) -> anyhow::Result<Option<(Loader, Arc<Notify>)>> {
    let store = store::open(&config.store)?;
    store::check_create_if_absent(store.as_ref()).await?;
    if !migrate(config, context).await? {
        return Ok(None);
    }
    let timeout = Duration::from_millis(config.consume.store_timeout_ms);
    let log = PlanLog::new(Arc::clone(&store), SHARD, timeout);
    let checkpoint = log.newest_checkpoint().await.context("cannot read the newest checkpoint")?;
    let ledger = checkpoint.as_ref().map_or_else(|| Ledger::empty(SHARD), Ledger::from_checkpoint);
    tracing::info!(plan = ledger.last(), "going on after the newest checkpoint");
    let in_doubt = log.plans_with_repair().await.context("cannot read the plans that were repaired")?;
    let parts = log.parts().await.context("cannot read what erasures removed")?;
    let ledger_last = ledger.last();
    let sender = Sender::new(
        &config.warehouse,
        config.plan.limits.max_insert_rows,
        config.insert.not_after_s,
        context.clock.clone(),
        metrics.insert.clone(),
        status.clone(),
    )?;
    let wake = Arc::new(Notify::new());
    let parts = Parts {
        clock: context.clock.clone(),
        shutdown: context.shutdown.clone(),
        wake: Arc::clone(&wake),
        log: log.clone(),
        consumer: Consumer::new(Arc::clone(&store), config.consume.clone(), metrics.consume.clone()),
        planner: Planner::new(config.id.clone(), config.plan.takeover_ms, ledger),
        verifier: Verifier::new(&config.warehouse, log.clone(), sender.clone(), metrics.insert.clone())?,
        sender,
        in_doubt,
        jobs: Jobs::new(Arc::clone(&store), timeout),
        eraser: Eraser::new(&config.warehouse)?,
        erased: Erased::from_parts(parts, ledger_last, context.clock.monotonic_ms()),
        retirer: Retirer::new(
            Arc::clone(&store),
            log,
            config.retire.clone(),
            timeout,
            metrics.retire.clone(),
        ),
        store,
        metrics,
        status,
    };
    Ok(Some((Loader::new(config, parts), wake)))
}

/// Brings the tables to this build's form, waiting for a warehouse that is still starting. `false`: shutdown came first.
async fn migrate(config: &Config, context: &Context) -> anyhow::Result<bool> {
    let mut backoff = Backoff::new(&config.insert);
    loop {
        let result = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(false),
            result = warehouse::migrate(&config.warehouse) => result,
        };
        let error = match result {
            Ok(()) => return Ok(true),
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(%error, "the warehouse is not ready; trying again");
        context.readiness.set_not_ready(format!("waiting for the warehouse: {error}"));
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(false),
            () = tokio::time::sleep(backoff.next(true)) => {}
        }
    }
}
