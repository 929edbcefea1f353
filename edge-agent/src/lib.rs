//! The edge: accepts hits, keeps them, processes them, ships them.
//!
//! A hit goes through the stages in this order; stages do not know each other, [`run`] names them all:
//! `collect → wal → (204) → process → outbox → ship`. `disk` is what they keep, `handoff` what they pass on, `ledger`
//! the accounts, `tail` what somebody looks at; `rehearse` is for measuring. Invariant: a 2xx leaves only after the hit is in a committed transaction.

pub mod config;
pub(crate) mod handoff;
pub(crate) mod disk;
pub(crate) mod properties;
pub(crate) mod ledger;
pub(crate) mod tail;
pub(crate) mod metrics;
pub mod collect;
pub mod wal;
pub mod process;
pub mod outbox;
pub mod ship;
mod status;
pub mod rehearse;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod power_tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use configuration::follow::{FollowMetrics, Follower, Speaker};
use configuration::{Position, Replica};
use hit::EdgeId;
use identity::Role;
use serde_json::{Map, json};
use service::admin::AdminServer;
use service::{Context, TaskGroup};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use transport::Endpoint;

use crate::collect::accept::Acceptor;
use crate::collect::client::Proxies;
use crate::collect::origin::{self, Origins};
use crate::collect::route::Routes;
use crate::collect::salts::{self, Salts};
use crate::collect::tls::{Terminator, Tls};
use crate::collect::tracker::Tracker;
pub use crate::config::Config;
use crate::disk::DataDir;
use crate::disk::state::Progress;
use crate::handoff::refused::{self, RefusedHits};
use crate::handoff::{Answers, Gate, Intake, IntakeReceiver};
use crate::ledger::Ledger;
use crate::metrics::{CollectMetrics, OriginMetrics, ProcessMetrics, ShipMetrics, TlsMetrics, WalMetrics};
use crate::process::restore::Restore;
use crate::properties::Properties;
use crate::ship::CurrentHub;
use crate::status::{EdgeStatus, Found};
use crate::tail::Tail;
use crate::wal::Committer;

/// What stages may take to end beyond the time for shipping.
const DRAIN_MARGIN: Duration = Duration::from_secs(20);

/// The local copy of the configuration, in the data directory.
pub const CONFIG_FILE: &str = "config.redb";

/// Everything that is read from disk before the edge is ready. The state of processing is not among it: it may be large,
/// and hits can be taken without it.
struct Opened {
    disk: Arc<DataDir>,
    progress: Progress,
    user_agent_rules: String,
    crawler_list: String,
    ledger: Arc<Ledger>,
    salts: Arc<Salts>,
    properties: Properties,
    replica: Arc<Replica>,
    origins: Arc<Origins>,
    proxies: Arc<Proxies>,
    tracker: Tracker,
    tls: Option<Tls>,
    tail: Arc<Tail>,
}

/// Runs an edge until `context.shutdown`, then drains: what is in flight is answered, committed, processed and, as far
/// as the drain time allows, shipped.
///
/// # Errors
/// When the configuration, the certificate or the data directory cannot be used, or a stage fails.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let edge = config.tls.identity()?.expect_role(Role::Edge).context("tls.cert")?;
    let edge: EdgeId = edge.id().parse()?;
    let now_ms = context.clock.now_ms();
    let (to_open, origin_metrics) = (config.clone(), context.registry.register(OriginMetrics::new));
    let mut opened =
        tokio::task::spawn_blocking(move || open(&to_open, &edge, now_ms, origin_metrics)).await??;
    let ledger = opened.ledger.clone();
    context.registry.register(|registry| ledger::register(ledger.clone(), registry));
    let ship_metrics = context.registry.register(ShipMetrics::new);
    let (hub, found) = (CurrentHub::default(), Found::in_ledger(&ledger));
    let endpoint = Endpoint::new(&config.tls, config.ship.bind, &config.ship.quic)?;
    let listeners = collect::listen::listeners(config.collect.listen, config.collect.threads())
        .with_context(|| format!("cannot listen on collect.listen = {}", config.collect.listen))?;
    let address = listeners.first().context("collect.threads is 0")?.local_addr()?;
    let scheme = if opened.tls.is_some() { "https" } else { "http" };
    let collect_url = format!("{scheme}://{address}");

    let gate = Arc::new(Gate::default());
    let limits = (config.collect.queue_submissions, config.collect.queue_bytes);
    let (intakes, intake_receiver) = handoff::intake(listeners.len(), limits.0, limits.1, &gate);
    let status = EdgeStatus {
        owner: opened.disk.owner.clone(),
        ledger,
        intake: intake_receiver.level(),
        ship: ship_metrics.clone(),
        hub: hub.clone(),
        found,
        origins: opened.origins.clone(),
        config: config.clone(),
        replica: opened.replica.clone(),
        clock: context.clock.clone(),
    };
    let answer = Arc::new(move || status.answer());
    let seen = tail::routes(opened.tail.clone(), context.clock.clone());
    let admin = AdminServer::start(&context, config.admin_listen, answer, seen).await?;

    let mut tasks = TaskGroup::new(context.shutdown.clone());
    let terminator = spawn_reload(&mut tasks, &context, opened.tls.take());
    let threads = listeners.into_iter().zip(intakes);
    let refused = spawn_collect(&mut tasks, &config, &context, &opened, threads, terminator.as_ref());
    spawn_watchers(&mut tasks, &config, &context, &opened);
    let known = opened.replica.watch();
    let opened_disk = (opened.disk.clone(), opened.ledger.clone());
    let taken = (intake_receiver, refused, gate);
    let flushed = spawn_wal_and_process(&mut tasks, &config, &context, opened, taken)?;
    let out = (endpoint, ship_metrics, hub);
    spawn_outbox_and_ship(&mut tasks, &config, &context, opened_disk, flushed, out);

    let addresses = Map::from_iter([
        ("admin".to_owned(), json!(admin.url())),
        ("collect".to_owned(), json!(collect_url)),
    ]);
    announce_when_configured(&context, addresses, known).await?;
    tasks.run(Duration::from_millis(config.drain_ms) + DRAIN_MARGIN).await?;
    Ok(())
}

/// Says that the edge is ready once it has a configuration; until then it refuses hits. Returns early on shutdown.
async fn announce_when_configured(
    context: &Context,
    addresses: Map<String, serde_json::Value>,
    mut known: watch::Receiver<Position>,
) -> anyhow::Result<()> {
    if known.borrow().is_nothing() {
        let obstacle = "no configuration yet: none of config.sources has answered";
        let address =
            |name: &str| addresses.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        tracing::warn!(
            collect = address("collect"),
            admin = address("admin"),
            "{obstacle}; hits are refused"
        );
        context.readiness.set_not_ready(obstacle);
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            _first = known.wait_for(|position| !position.is_nothing()) => {}
        }
    }
    Ok(context.announce_ready("edge", addresses)?)
}

/// Reads configuration files and the data directory. Blocks.
fn open(
    config: &Config,
    edge: &EdgeId,
    now_ms: u64,
    origin_metrics: OriginMetrics,
) -> anyhow::Result<Opened> {
    let read = |field: &str, path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {field} = {path:?}"))
    };
    let user_agent_rules = read("user_agent_rules", &config.user_agent_rules)?;
    let crawler_list = read("crawler_list", &config.crawler_list)?;
    let origins = Origins::open(&config.geo_database, config.hosting_ranges.as_ref(), origin_metrics)?;
    let proxies = Proxies::new(&config.collect).map_err(anyhow::Error::msg)?;
    let tracker = Tracker::open(config.collect.tracker_dir.as_deref())?;
    let tls = config.collect.tls.as_ref().map(Tls::open).transpose()?;
    let caches = disk::Caches { wal_bytes: config.wal.cache_bytes, state_bytes: config.outbox.cache_bytes };
    let disk = disk::open(&config.data_dir, edge, caches)?;
    let properties = Properties::default();
    let path = config.data_dir.join(CONFIG_FILE);
    let replica = Replica::open(&path, config.config.cache_bytes, Arc::new(properties.clone()))?;
    let salts = Salts::open(&config.data_dir, now_ms)?;
    let progress = disk.state.load_progress()?;
    let ledger = Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox()?);
    Ok(Opened {
        ledger: Arc::new(ledger),
        disk: Arc::new(disk),
        salts: Arc::new(salts),
        progress,
        user_agent_rules,
        crawler_list,
        properties,
        replica,
        origins: Arc::new(origins),
        proxies: Arc::new(proxies),
        tracker,
        tls,
        tail: Arc::new(Tail::new(edge.as_str())),
    })
}

/// What does the handshakes of the HTTP port, with its certificate followed by a task.
fn spawn_reload(tasks: &mut TaskGroup, context: &Context, tls: Option<Tls>) -> Option<Terminator> {
    let (terminator, reload) = tls?.split(context.registry.register(TlsMetrics::new));
    tasks.spawn("tls", reload.watch(context.clock.clone(), context.shutdown.clone()));
    Some(terminator)
}

/// The HTTP port: its threads end when they stopped accepting and everything in flight is answered. Gives what they refuse.
fn spawn_collect(
    tasks: &mut TaskGroup,
    config: &Config,
    context: &Context,
    opened: &Opened,
    threads: impl Iterator<Item = (std::net::TcpListener, (Intake, Answers))>,
    tls: Option<&Terminator>,
) -> Arc<RefusedHits> {
    let metrics = context.registry.register(CollectMetrics::new);
    let refused = Arc::new(RefusedHits::new(refused::KEYS, metrics.refused_left_out.clone()));
    let slots = Arc::new(Semaphore::new(config.collect.max_connections));
    let large_bodies = Arc::new(Semaphore::new(config.collect.max_large_bodies));
    for (listener, (intake, answers)) in threads {
        let acceptor = Acceptor {
            properties: opened.properties.clone(),
            salts: opened.salts.clone(),
            origins: opened.origins.clone(),
            proxies: opened.proxies.clone(),
            host_suffix: config.collect.host_suffix.clone(),
            tail: opened.tail.clone(),
            refused: refused.clone(),
            intake,
            clock: context.clock.clone(),
        };
        let routes = Routes::new(acceptor, opened.tracker.clone(), large_bodies.clone(), metrics.clone());
        let thread = collect::Thread { listener, routes, answers, slots: slots.clone(), tls: tls.cloned() };
        let (config, shutdown) = (config.collect.clone(), context.shutdown.clone());
        tasks.spawn_blocking_thread("collect", move || collect::run(thread, &config, &shutdown));
    }
    refused
}

/// What is kept up beside the hits: salts of the day, properties, and the files that tell where clients are.
fn spawn_watchers(tasks: &mut TaskGroup, config: &Config, context: &Context, opened: &Opened) {
    let (salts, clock, shutdown) = (opened.salts.clone(), context.clock.clone(), context.shutdown.clone());
    tasks.spawn("salts", salts::watch(salts, clock, shutdown));
    tasks.spawn("origins", origin::watch(opened.origins.clone(), context.shutdown.clone()));
    tasks.spawn("properties", opened.properties.clone().rest(context.shutdown.clone()));
    let follower = Follower {
        config: config.config.clone(),
        tls: config.tls.clone(),
        role: Role::Hub,
        replica: opened.replica.clone(),
        speaker: Speaker::Edge,
        metrics: context.registry.register(|registry| FollowMetrics::new(registry, "edge", &opened.replica)),
    };
    tasks.spawn("config", follower.run(context.shutdown.clone()));
}

/// The committer and the processing thread; gives where flushes are announced, closed when processing has ended.
fn spawn_wal_and_process(
    tasks: &mut TaskGroup,
    config: &Config,
    context: &Context,
    opened: Opened,
    (intake, refused, gate): (IntakeReceiver, Arc<RefusedHits>, Arc<Gate>),
) -> anyhow::Result<watch::Receiver<u64>> {
    let (feed, feed_receiver) = handoff::feed(config.process.feed_blocks, opened.disk.wal.end().block);
    let committer = Committer::new(wal::committer::Parts {
        config: config.wal.clone(),
        disk: opened.disk.clone(),
        intake,
        refused,
        gate,
        feed,
        ledger: opened.ledger.clone(),
        clock: context.clock.clone(),
        metrics: context.registry.register(WalMetrics::new),
    })?;
    let (flushed, flushes) = watch::channel(opened.progress.rollup_seq);
    let restore = Restore {
        config: config.process.clone(),
        drain_ms: config.drain_ms,
        disk: opened.disk,
        progress: opened.progress,
        user_agent_rules: opened.user_agent_rules,
        crawler_list: opened.crawler_list,
        tail: opened.tail,
        replica: opened.replica,
        rules: Arc::new(opened.properties),
        feed: feed_receiver,
        ledger: opened.ledger,
        clock: context.clock.clone(),
        metrics: context.registry.register(ProcessMetrics::new),
        flushed,
        shutdown: context.shutdown.clone(),
    };
    tasks.spawn_blocking_thread("wal", || committer.run());
    tasks.spawn_blocking_thread("process", || restore.run());
    Ok(flushes)
}

/// The way out: batches to a hub, acks back into the outbox.
fn spawn_outbox_and_ship(
    tasks: &mut TaskGroup,
    config: &Config,
    context: &Context,
    opened: (Arc<DataDir>, Arc<Ledger>),
    flushed: watch::Receiver<u64>,
    out: (Endpoint, ShipMetrics, CurrentHub),
) {
    let (disk, ledger) = opened;
    let (endpoint, metrics, hub) = out;
    let (acks, acks_receiver) = mpsc::channel(config.outbox.ack_queue);
    let give_up = CancellationToken::new();
    let parts = ship::Parts {
        config: config.ship.clone(),
        endpoint,
        disk: disk.clone(),
        flushed,
        acks,
        give_up: give_up.clone(),
        metrics,
        hub,
    };
    tasks.spawn_blocking_thread("outbox", move || outbox::run(&disk, &ledger, acks_receiver));
    let shutdown = context.shutdown.clone();
    let drain = Duration::from_millis(config.drain_ms);
    tasks.spawn("ship", async move {
        let deadline = async {
            shutdown.cancelled().await;
            tokio::time::sleep(drain).await;
            give_up.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = ship::run(parts) => result,
            () = deadline => Ok(()),
        }
    });
}
