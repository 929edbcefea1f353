//! The hub: batches of many edges in, segments of the object store out.
//!
//! ```text
//! edges ══ QUIC ══► receive ══ queue per lane ══► segment ══► object store
//!        ◄══ ack ══════════════════════════════════╝ └══► feed ══ gRPC ══► loaders
//! ```
//!
//! Beside it: apis ══ gRPC ══► configure ══ gRPC ══► edges. `mesh` is the gRPC port of both.
//!
//! Invariant: a batch is acknowledged when the PUT of its segment has succeeded, and not before. A hub keeps nothing
//! that matters: whatever it loses is still in the outbox of an edge, and it may hold a batch twice.

pub mod config;
mod metrics;
mod stored;
mod receive;
mod segment;
mod feed;
mod configure;
mod mesh;
mod sizes;
mod status;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use batch::Lane;
use object_store::ObjectStore;
use serde_json::{Map, Value, json};
use service::admin::AdminServer;
use service::{Context, TaskGroup};
use tokio::sync::{broadcast, mpsc};
use transport::{LaneQueues, Server};

use crate::feed::Feed;
use crate::mesh::Mesh;

pub use crate::config::Config;
use crate::metrics::Metrics;
use crate::segment::Segmenter;
use crate::sizes::Sizes;

/// Runs a hub on the configured store until shutdown, and until what it received is stored and acknowledged.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let store = store::open(&config.store)?;
    run_on(store, config, context).await
}

/// [`run`] on a store that is open already.
///
/// # Errors
/// As [`run`].
pub async fn run_on(store: Arc<dyn ObjectStore>, config: Config, context: Context) -> anyhow::Result<()> {
    store::check_create_if_absent(store.as_ref()).await?;
    let metrics = Arc::new(context.registry.register(Metrics::new));
    let server = Server::bind(&config.tls, &config.receive).context("receive")?;
    let hub = server.hub().id().to_owned();
    let quic = server.local_address()?;

    let mut tasks = TaskGroup::new(context.shutdown.clone());
    let (stored, _) = broadcast::channel(config.feed.announcements);
    let mut ready = Map::from_iter([("quic".to_owned(), json!(quic.to_string()))]);
    let mesh = Mesh::bind(&config.mesh, &config.tls).await?;
    let (follower, config_feed) = configure::open(&config, &context).await?;
    ready.insert("mesh".to_owned(), json!(mesh.url()));
    let copy = Arc::clone(&follower.replica);
    let (clock, shutdown) = (context.clock.clone(), context.shutdown.clone());
    tasks.spawn("salts", configure::let_salts_expire(follower.salts.clone(), clock, shutdown));
    tasks.spawn("config", follower.run(context.shutdown.clone()));
    let watchers = config.feed.max_watchers;
    let feed = || Feed::new(stored.clone(), Arc::clone(&metrics), watchers, context.shutdown.clone());
    let feed = config.feed.enabled.then(feed);
    tasks.spawn("mesh", mesh.run(feed, config_feed, context.shutdown.clone()));

    let segmenter = |lane| Segmenter {
        lane,
        hub: hub.clone(),
        store: Arc::clone(&store),
        clock: context.clock.clone(),
        config: config.segment.clone(),
        metrics: Arc::clone(&metrics),
        stored: stored.clone(),
    };
    let (rollup, rollup_queue) = mpsc::channel(config.segment.queue_batches);
    let (raw, raw_queue) = mpsc::channel(config.segment.queue_batches);
    tasks.spawn("segment rollup", segmenter(Lane::Rollup).run(rollup_queue));
    tasks.spawn("segment raw", segmenter(Lane::Raw).run(raw_queue));
    let queues = LaneQueues { rollup, raw };
    tasks.spawn("receive", receive::run(server, queues, Arc::clone(&metrics), context.shutdown.clone()));

    let sizes = Arc::new(Sizes::default());
    let listing =
        Arc::clone(&sizes).refresh(Arc::clone(&store), config.sizes.clone(), context.shutdown.clone());
    tasks.spawn("sizes", listing);

    let report = status::report(hub, &config, (metrics, sizes, copy), context.clock.clone());
    let admin = AdminServer::start(&context, config.admin_listen, report, axum::Router::new()).await?;
    ready.insert("admin".to_owned(), Value::from(admin.url()));
    context.announce_ready("hub", ready)?;
    tasks.run(Duration::from_millis(config.shutdown_grace_ms)).await?;
    Ok(())
}
