//! The edge: accepts hits, keeps them, processes them, ships them.
//!
//! A hit goes through the stages in this order; stages do not know each other: `collect → wal → (204) → process → outbox → ship`. Those behind
//! collect are a [`pipeline`], one for each data region; [`run`] puts collect before them. `disk` is what they keep, `handoff` what they pass on,
//! `ledger` the accounts, `tail` what somebody looks at, `erasures` what is to be forgotten; `rehearse` is for measuring. Invariant: a 2xx leaves only after the hit is in a committed transaction.

pub mod config;
pub(crate) mod handoff;
pub(crate) mod disk;
pub(crate) mod properties;
pub(crate) mod erasures;
pub(crate) mod ledger;
pub(crate) mod tail;
pub(crate) mod metrics;
pub mod collect;
pub mod wal;
pub mod process;
pub mod outbox;
pub mod ship;
pub mod pipeline;
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
use jiff::civil::Date;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Map, json};
use service::admin::AdminServer;
use service::{Context, TaskGroup};
use tokio::sync::{Semaphore, watch};

use crate::collect::accept::Acceptor;
use crate::collect::client::Proxies;
use crate::collect::origin::{self, Origins};
use crate::collect::quota::Quotas;
use crate::collect::route::Routes;
use crate::collect::salts::{self, Salts};
use crate::collect::tls::{Terminator, Tls};
use crate::collect::tracker::Tracker;
pub use crate::config::Config;
use crate::handoff::regions::{Misdirected, Regions};
use crate::metrics::{CollectMetrics, OriginMetrics, TlsMetrics};
use crate::pipeline::Pipeline;
use crate::process::restore::UserAgents;
use crate::properties::Properties;
use crate::status::EdgeStatus;
use crate::tail::Tail;

/// What stages may take to end beyond the time for shipping.
const DRAIN_MARGIN: Duration = Duration::from_secs(20);

/// The local copy of the configuration, in the data directory.
pub const CONFIG_FILE: &str = "config.redb";

/// Everything that is read from disk before the edge is ready.
struct Opened {
    /// The home region's first.
    pipelines: Vec<Pipeline>,
    user_agents: Arc<UserAgents>,
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
    let metrics = context.registry.register(CollectMetrics::new);
    let origin_metrics = context.registry.register(OriginMetrics::new);
    let (to_open, owner, left_out) = (config.clone(), edge.clone(), metrics.refused_left_out.clone());
    let opening = move || open(&to_open, &owner, now_ms, origin_metrics, &left_out);
    let mut opened = tokio::task::spawn_blocking(opening).await??;
    register_pipelines(&context, &opened.pipelines);
    let listeners = collect::listen::listeners(config.collect.listen, config.collect.threads())
        .with_context(|| format!("cannot listen on collect.listen = {}", config.collect.listen))?;
    let address = listeners.first().context("collect.threads is 0")?.local_addr()?;
    let scheme = if opened.tls.is_some() { "https" } else { "http" };
    let collect_url = format!("{scheme}://{address}");

    let status = EdgeStatus {
        edge,
        pipelines: opened.pipelines.iter().map(Pipeline::status).collect(),
        origins: opened.origins.clone(),
        replica: opened.replica.clone(),
        clock: context.clock.clone(),
    };
    let answer = Arc::new(move || status.answer());
    let seen = tail::routes(opened.tail.clone(), context.clock.clone());
    let admin = AdminServer::start(&context, config.admin_listen, answer, seen).await?;

    let mut tasks = TaskGroup::new(context.shutdown.clone());
    let terminator = spawn_reload(&mut tasks, &context, opened.tls.take());
    spawn_collect(&mut tasks, &config, &context, &mut opened, listeners, (metrics, terminator.as_ref()));
    spawn_watchers(&mut tasks, &config, &context, &opened);
    let known = (opened.replica.watch(), opened.salts.missing());
    let shared = pipeline::Shared {
        drain_ms: config.drain_ms,
        tls: config.tls.clone(),
        user_agents: opened.user_agents,
        tail: opened.tail,
        replica: opened.replica,
        rules: Arc::new(opened.properties),
    };
    for pipeline in opened.pipelines {
        pipeline.spawn(&mut tasks, &context, &shared)?;
    }

    let addresses = Map::from_iter([
        ("admin".to_owned(), json!(admin.url())),
        ("collect".to_owned(), json!(collect_url)),
    ]);
    let missing = known.1.clone();
    announce_when_told(&context, addresses, known).await?;
    tasks.spawn("ready", keep_readiness(context.clone(), missing));
    tasks.run(Duration::from_millis(config.drain_ms) + DRAIN_MARGIN).await?;
    Ok(())
}

/// Shows metrics and accounts of all pipelines.
fn register_pipelines(context: &Context, pipelines: &[Pipeline]) {
    let metrics = pipelines.iter().map(|pipeline| (pipeline.labels(), pipeline.metrics().clone())).collect();
    context.registry.register(|registry| metrics::pipeline::register(metrics, registry));
    let ledgers = pipelines.iter().map(|pipeline| (pipeline.labels(), pipeline.ledger().clone())).collect();
    context.registry.register(|registry| ledger::register(ledgers, registry));
}

/// Says that the edge is ready once it has a configuration and its salts; until then it refuses hits. Returns early on shutdown.
async fn announce_when_told(
    context: &Context,
    addresses: Map<String, serde_json::Value>,
    (mut known, mut missing): (watch::Receiver<Position>, watch::Receiver<Vec<Date>>),
) -> anyhow::Result<()> {
    let address = |name: &str| addresses.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut said = None;
    loop {
        let obstacle = match known.borrow_and_update().is_nothing() {
            true => Some("no configuration yet: none of config.sources has answered".to_owned()),
            false => lack_of_salts(&missing.borrow_and_update()),
        };
        let Some(obstacle) = obstacle else { break };
        if said.as_ref() != Some(&obstacle) {
            let (collect, admin) = (address("collect"), address("admin"));
            tracing::warn!(collect, admin, "{obstacle}; hits are refused");
            context.readiness.set_not_ready(obstacle.clone());
            said = Some(obstacle);
        }
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            _first = known.changed() => {}
            _fewer = missing.changed() => {}
        }
    }
    Ok(context.announce_ready("edge", addresses)?)
}

/// Lets `/readyz` say why hits are refused when a date begins without its salt.
async fn keep_readiness(context: Context, mut missing: watch::Receiver<Vec<Date>>) -> anyhow::Result<()> {
    loop {
        match lack_of_salts(&missing.borrow_and_update()) {
            Some(obstacle) => context.readiness.set_not_ready(obstacle),
            None => context.readiness.set_ready(),
        }
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            // Whoever tells it is there until the end.
            _other = missing.changed() => {}
        }
    }
}

fn lack_of_salts(missing: &[Date]) -> Option<String> {
    let dates: Vec<_> = missing.iter().map(Date::to_string).collect();
    let dates = Some(dates.join(", ")).filter(|dates| !dates.is_empty())?;
    Some(format!("no salt for {dates}: none of config.sources has told it"))
}

/// Reads configuration files and the data directory. Blocks.
fn open(
    config: &Config,
    edge: &EdgeId,
    now_ms: u64,
    origin_metrics: OriginMetrics,
    left_out: &Counter,
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
    disk::regions::check(&config.data_dir, &config.region, config.regions.keys().map(String::as_str))?;
    let threads = config.collect.threads();
    let pipelines = config.pipelines().into_iter();
    let pipelines = pipelines
        .map(|settings| Pipeline::open(settings, edge, threads, left_out.clone()))
        .collect::<anyhow::Result<_>>()?;
    let properties = Properties::default();
    let path = config.data_dir.join(CONFIG_FILE);
    let replica = Replica::open(&path, config.config.cache_bytes, Arc::new(properties.clone()))?;
    Ok(Opened {
        pipelines,
        salts: Arc::new(Salts::open(&config.data_dir, now_ms)?),
        user_agents: Arc::new(UserAgents::new(user_agent_rules, crawler_list)),
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

/// The HTTP port: its threads end when they stopped accepting and everything in flight is answered.
fn spawn_collect(
    tasks: &mut TaskGroup,
    config: &Config,
    context: &Context,
    opened: &mut Opened,
    listeners: Vec<std::net::TcpListener>,
    (metrics, tls): (CollectMetrics, Option<&Terminator>),
) {
    let misdirected = Arc::new(Misdirected::new(metrics.wrong_region.clone()));
    let quotas = Quotas::new(
        config.collect.quota_properties,
        config.collect.hits_per_second,
        metrics.quota_uncounted.clone(),
    );
    let quotas = Arc::new(quotas);
    let slots = Arc::new(Semaphore::new(config.collect.max_connections));
    let large_bodies = Arc::new(Semaphore::new(config.collect.max_large_bodies));
    for listener in listeners {
        let entrances = opened.pipelines.iter_mut().filter_map(|pipeline| pipeline.entrances.next());
        let (regions, answers) = Regions::new(entrances.collect(), misdirected.clone());
        let acceptor = Acceptor {
            properties: opened.properties.clone(),
            salts: opened.salts.clone(),
            origins: opened.origins.clone(),
            proxies: opened.proxies.clone(),
            host_suffix: config.collect.host_suffix.clone(),
            tail: opened.tail.clone(),
            regions,
            quotas: quotas.clone(),
            clock: context.clock.clone(),
        };
        let routes = Routes::new(acceptor, opened.tracker.clone(), large_bodies.clone(), metrics.clone());
        let thread = collect::Thread { listener, routes, answers, slots: slots.clone(), tls: tls.cloned() };
        let (config, shutdown) = (config.collect.clone(), context.shutdown.clone());
        tasks.spawn_blocking_thread("collect", move || collect::run(thread, &config, &shutdown));
    }
}

/// What is kept up beside the hits: salts of the day, properties, erasures, and the files that tell where clients are.
fn spawn_watchers(tasks: &mut TaskGroup, config: &Config, context: &Context, opened: &Opened) {
    let (salts, clock, shutdown) = (opened.salts.clone(), context.clock.clone(), context.shutdown.clone());
    let missing = context.registry.register(metrics::salts_missing);
    tasks.spawn("salts", salts::watch(salts, clock, missing, shutdown));
    tasks.spawn("origins", origin::watch(opened.origins.clone(), context.shutdown.clone()));
    tasks.spawn("properties", opened.properties.clone().rest(context.shutdown.clone()));
    let forgets = opened.pipelines.iter().map(|pipeline| pipeline.forgets().clone()).collect();
    let (replica, tail) = (opened.replica.clone(), opened.tail.clone());
    tasks.spawn("erasures", erasures::watch(replica, forgets, tail, context.shutdown.clone()));
    let follower = Follower {
        config: config.config.clone(),
        tls: config.tls.clone(),
        role: Role::Hub,
        replica: opened.replica.clone(),
        salts: opened.salts.told().clone(),
        clock: context.clock.clone(),
        speaker: Speaker::Edge,
        metrics: context.registry.register(|registry| FollowMetrics::new(registry, "edge", &opened.replica)),
    };
    tasks.spawn("config", follower.run(context.shutdown.clone()));
}
