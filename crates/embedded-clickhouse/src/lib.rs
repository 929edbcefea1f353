//! The ClickHouse engine as a library, in a process of its own, behind the HTTP interface.
//!
//! In: HTTP requests as the `clickhouse` crate sends them. Out: the answers of a ClickHouse server. A request is served
//! (its body read whole), parsed, split if it is an INSERT, decompressed, executed in the engine on a thread, answered. A
//! laptop thus needs no ClickHouse server, and the services see no difference. Invariant: an INSERT is answered with success only
//! when the engine has finished it, and one whose body did not arrive whole is never begun.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value};
use service::admin::{AdminServer, status_fn};
use service::status::{QueueStatus, ServiceReport, ServiceStatus};
use service::{Context, TaskGroup};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

mod config;
mod lock;
mod budget;
mod serve;
mod parse;
mod split;
mod decompress;
mod execute;
mod engine;
mod answer;
mod measure;
mod metrics;

pub use config::Config;

use execute::Queue;
use measure::StoreSize;
use metrics::{ExecuteMetrics, ServeMetrics};
use serve::Served;

/// The name in ready lines and reports.
const SERVICE: &str = "warehouse";

/// Runs until shutdown begins, then lets running statements end.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let grace = Duration::from_millis(config.shutdown_grace_ms);
    let _lock = lock::take(&config.data_dir, Duration::from_millis(config.lock_timeout_ms)).await?;
    // Both ports before the engine: an address that is taken ends the process before there is anything to close.
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on listen = \"{}\"; choose a free address, or port 0 for any", config.listen)
    })?;
    let http = format!("http://{}", listener.local_addr()?);
    let (queue, engine) = execute::channel(&config, context.registry.register(ExecuteMetrics::new));
    let store = StoreSize::default();
    let admin = admin(&config, &context, &queue, store.clone()).await?;
    let mut group = TaskGroup::new(context.shutdown.clone());
    let (booted, boot) = oneshot::channel();
    group.spawn_blocking_thread("engine", move || engine.run(booted));
    let Ok(version) = boot.await else {
        // The thread ended before it could say a version: the group knows why.
        return Ok(group.shutdown(grace).await?);
    };
    tracing::info!(%version, %http, data_dir = %config.data_dir.display(), "engine is open");
    let served = Served {
        queue,
        metrics: context.registry.register(ServeMetrics::new),
        max_body_bytes: config.max_body_bytes,
        body_timeout: Duration::from_millis(config.body_timeout_ms),
    };
    group.spawn("measure", store.keep(config.data_dir.clone(), context.shutdown.clone()));
    let shutdown = context.shutdown.clone();
    group.spawn("http", async move {
        let app = serve::router(served);
        Ok(axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await?)
    });
    let mut fields = Map::new();
    fields.insert("admin".to_owned(), Value::from(admin.url()));
    fields.insert("http".to_owned(), Value::from(http));
    let announced = context.announce_ready(SERVICE, fields);
    if announced.is_err() {
        context.shutdown.cancel();
    }
    group.run(grace).await?;
    announced.context("cannot print the ready line")
}

async fn admin(
    config: &Config,
    context: &Context,
    queue: &Queue,
    store: StoreSize,
) -> anyhow::Result<AdminServer> {
    let id = config.data_dir.display().to_string();
    // Not the queue itself: it closes when the HTTP side has ended, while the admin port lives on.
    let places = queue.places();
    let status = status_fn(move || {
        let (length, limit) = places.load();
        let statements = QueueStatus { length, limit, unit: "statements".to_owned() };
        let mut status = ServiceStatus::new(SERVICE, id.clone());
        status.queues = BTreeMap::from([("statements".to_owned(), statements)]);
        status.stores = BTreeMap::from([("tables".to_owned(), store.bytes())]);
        ServiceReport { services: vec![status], positions: Vec::new() }
    });
    Ok(AdminServer::start(context, config.admin_listen, status, axum::Router::new()).await?)
}
