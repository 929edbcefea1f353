//! The stages behind collect, for the hits of one data region: `wal → process → outbox → ship`, over a directory and an epoch of their own.
//!
//! An edge has one for its home region and one for each further region that it serves. They share nothing that a hit lies in, so a batch is of
//! one region from its first hit on, and goes to hubs of that region alone ([`ship`] knows no others). In: the intake of collect. Out:
//! batches at a hub. What all have in common is in `Shared`. What each further one may take is that much again: see [`Config`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use configuration::Replica;
use hit::{EdgeId, RulesSource};
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};
use service::{Context, TaskGroup};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};
use transport::Endpoint;

use crate::disk::state::Progress;
use crate::disk::{self, DataDir};
use crate::handoff::forgets::Forgets;
use crate::handoff::refused::{self, RefusedHits};
use crate::handoff::regions::Entrance;
use crate::handoff::{self, Gate, IntakeReceiver};
use crate::ledger::Ledger;
use crate::metrics::pipeline::{Labels, PipelineMetrics};
use crate::process::restore::{Restore, UserAgents};
use crate::ship::CurrentHub;
use crate::status::{Found, PipelineStatus};
use crate::tail::Tail;
use crate::wal::Committer;
use crate::{outbox, process, ship, wal};

/// A region that an edge serves beside its home region.
///
/// Its pipeline is configured as the home region's is, but for what is said here. So it takes as much again at most: on disk `wal.max_bytes`, in memory
/// `collect.queue_bytes`, what `process.limits` allow, the caches of `wal` and `outbox`, and two windows of `ship`; by the
/// defaults about 0.6 GB, when all of it is full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Hubs of the region as `HOST:PORT`, as in `ship.hubs`: its hits go to these and to no others, whichever of them fail.
    pub hubs: Vec<String>,
    /// Bytes on disk; absent: as `wal.max_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Bytes of hits that wait for the committer; absent: as `collect.queue_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_bytes: Option<u64>,
    /// Absent: as `process.limits.max_open_sessions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_sessions: Option<u64>,
    /// Absent: as `process.limits.id_window_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_window_bytes: Option<u64>,
}

/// The configuration of one pipeline, the home region's or another's.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Name of the region; that of the home region may be empty.
    pub(crate) region: String,
    /// Whether other regions have pipelines, too.
    pub(crate) is_one_of_several: bool,
    /// Where it lies.
    pub(crate) data_dir: PathBuf,
    /// Requests that may wait for the committer.
    pub(crate) queue_submissions: usize,
    /// Their bytes.
    pub(crate) queue_bytes: u64,
    /// The WAL.
    pub(crate) wal: wal::Config,
    /// Processing.
    pub(crate) process: process::Config,
    /// The outbox.
    pub(crate) outbox: outbox::Config,
    /// The way to the region's hubs.
    pub(crate) ship: ship::Config,
}

/// What all pipelines of an edge have in common.
pub(crate) struct Shared {
    /// How long a stopping edge tries to hand over what it has, milliseconds.
    pub(crate) drain_ms: u64,
    /// Certificate, key and CA.
    pub(crate) tls: identity::TlsFiles,
    /// What user agents are told by.
    pub(crate) user_agents: Arc<UserAgents>,
    /// Told what is known of user agents.
    pub(crate) tail: Arc<Tail>,
    /// The configuration; nothing is processed before there is one.
    pub(crate) replica: Arc<Replica>,
    /// The rules that hits name.
    pub(crate) rules: Arc<dyn RulesSource>,
}

/// A pipeline as its directory has it, its stages not running yet. The state of processing is not among what was read: it may be
/// large, and hits can be taken without it.
pub(crate) struct Pipeline {
    settings: Settings,
    disk: Arc<DataDir>,
    progress: Progress,
    ledger: Arc<Ledger>,
    gate: Arc<Gate>,
    intake: IntakeReceiver,
    refused: Arc<RefusedHits>,
    forgets: Arc<Forgets>,
    metrics: PipelineMetrics,
    hub: CurrentHub,
    found: Found,
    /// For each accept thread; to be taken before the stages run.
    pub(crate) entrances: std::vec::IntoIter<Entrance>,
}

impl Pipeline {
    /// Opens the directory or makes it, with an entrance for each accept thread. Refused hits that find no room are counted in
    /// `left_out`. Blocks.
    pub(crate) fn open(
        settings: Settings,
        edge: &EdgeId,
        threads: usize,
        left_out: Counter,
    ) -> anyhow::Result<Self> {
        let caches =
            disk::Caches { wal_bytes: settings.wal.cache_bytes, state_bytes: settings.outbox.cache_bytes };
        let disk = disk::open(&settings.data_dir, edge, caches)?;
        let progress = disk.state.load_progress()?;
        let ledger = Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox()?);
        let gate = Arc::new(Gate::default());
        let (ends, intake) =
            handoff::intake(threads, settings.queue_submissions, settings.queue_bytes, &gate);
        let refused = Arc::new(RefusedHits::new(refused::KEYS, left_out));
        let entrances: Vec<Entrance> = ends
            .into_iter()
            .map(|(intake, answers)| Entrance {
                region: settings.region.clone(),
                intake,
                refused: refused.clone(),
                answers,
            })
            .collect();
        Ok(Self {
            found: Found::in_ledger(&ledger),
            ledger: Arc::new(ledger),
            disk: Arc::new(disk),
            progress,
            gate,
            intake,
            refused,
            forgets: Arc::default(),
            metrics: PipelineMetrics::default(),
            hub: CurrentHub::default(),
            entrances: entrances.into_iter(),
            settings,
        })
    }

    /// The labels of its samples; none while it is the only one.
    pub(crate) fn labels(&self) -> Labels {
        let Settings { region, is_one_of_several, .. } = &self.settings;
        is_one_of_several.then(|| ("region", region.clone())).into_iter().collect()
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> &PipelineMetrics {
        &self.metrics
    }

    /// Its accounts.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Where it is told what is to be forgotten.
    pub(crate) fn forgets(&self) -> &Arc<Forgets> {
        &self.forgets
    }

    /// What `/status` says of it.
    pub(crate) fn status(&self) -> PipelineStatus {
        PipelineStatus {
            region: self.settings.region.clone(),
            owner: self.disk.owner.clone(),
            ledger: self.ledger.clone(),
            intake: self.intake.level(),
            ship: self.metrics.ship.clone(),
            hub: self.hub.clone(),
            found: self.found,
            forgets: self.forgets.clone(),
            queue_submissions: self.settings.queue_submissions,
            max_bytes: self.settings.wal.max_bytes,
        }
    }

    /// Runs the stages. They end one after the other once every entrance is dropped: what was taken is committed, processed and, as far
    /// as the drain time allows, shipped. Call inside the runtime.
    pub(crate) fn spawn(
        self,
        tasks: &mut TaskGroup,
        context: &Context,
        shared: &Shared,
    ) -> anyhow::Result<()> {
        // The log of an edge with one pipeline names no region.
        let span = match self.settings.is_one_of_several {
            true => tracing::info_span!("pipeline", region = self.settings.region),
            false => Span::none(),
        };
        let endpoint = Endpoint::new(&shared.tls, self.settings.ship.bind, &self.settings.ship.quic)?;
        let (feed, feed_receiver) =
            handoff::feed(self.settings.process.feed_blocks, self.disk.wal.end().block);
        let committer = Committer::new(wal::committer::Parts {
            config: self.settings.wal,
            disk: self.disk.clone(),
            intake: self.intake,
            refused: self.refused,
            forgets: self.forgets.clone(),
            gate: self.gate,
            feed,
            ledger: self.ledger.clone(),
            clock: context.clock.clone(),
            metrics: self.metrics.wal,
        })?;
        let (flushed, flushes) = watch::channel(self.progress.rollup_seq);
        let restore = Restore {
            config: self.settings.process,
            drain_ms: shared.drain_ms,
            disk: self.disk.clone(),
            progress: self.progress,
            user_agents: shared.user_agents.clone(),
            tail: shared.tail.clone(),
            replica: shared.replica.clone(),
            rules: shared.rules.clone(),
            feed: feed_receiver,
            forgets: self.forgets,
            ledger: self.ledger.clone(),
            clock: context.clock.clone(),
            metrics: self.metrics.process,
            flushed,
            shutdown: context.shutdown.clone(),
        };
        let (acks, acks_receiver) = mpsc::channel(self.settings.outbox.ack_queue);
        let parts = ship::Parts {
            config: self.settings.ship,
            endpoint,
            disk: self.disk.clone(),
            flushed: flushes,
            acks,
            give_up: CancellationToken::new(),
            metrics: self.metrics.ship,
            hub: self.hub,
        };
        let (disk, ledger) = (self.disk, self.ledger);
        spawn_thread(tasks, "wal", &span, || committer.run());
        spawn_thread(tasks, "process", &span, || restore.run());
        spawn_thread(tasks, "outbox", &span, move || outbox::run(&disk, &ledger, acks_receiver));
        let drain = Duration::from_millis(shared.drain_ms);
        tasks.spawn("ship", ship_until(parts, context.shutdown.clone(), drain).instrument(span));
        Ok(())
    }
}

fn spawn_thread(
    tasks: &mut TaskGroup,
    name: &'static str,
    span: &Span,
    body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) {
    let span = span.clone();
    tasks.spawn_blocking_thread(name, move || span.in_scope(body));
}

/// Ships until everything is shipped, or for `drain` after shutdown.
async fn ship_until(parts: ship::Parts, shutdown: CancellationToken, drain: Duration) -> anyhow::Result<()> {
    let give_up = parts.give_up.clone();
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
}
