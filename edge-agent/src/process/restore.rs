//! The beginning of processing: the state of the last flush is read back here, on the thread of processing.
//!
//! In: `state.redb`, rules of user agents. Out: a [`Process`] that goes on in the WAL where the last flush ended. The edge takes hits meanwhile,
//! however large the state and however long the WAL; who repeats an id is told by processing, so a repeat that comes
//! before is told all the same. State or rules that cannot be used stop the edge.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use configuration::Replica;
use hit::RulesSource;
use processing::{Detection, Processor};
use service::{SharedClock, fail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Config, Parts, Process};
use crate::disk::DataDir;
use crate::disk::state::Progress;
use crate::handoff::FeedReceiver;
use crate::handoff::forgets::Forgets;
use crate::ledger::Ledger;
use crate::metrics::pipeline::ProcessMetrics;
use crate::tail::Tail;

/// Nice value of the thread: it follows the WAL, and may fall behind while accepting needs the cores.
const NICE: i32 = 10;

/// How often is looked for a first configuration.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What user agents are told by, compiled by whoever needs it first: pipelines share it.
pub(crate) struct UserAgents(Mutex<Rules>);

enum Rules {
    Text { user_agent_rules: String, crawler_list: String },
    Compiled(Arc<Detection>),
}

impl UserAgents {
    /// Of uap-core's rules and the list of crawlers, as they were read.
    pub(crate) fn new(user_agent_rules: String, crawler_list: String) -> Self {
        Self(Mutex::new(Rules::Text { user_agent_rules, crawler_list }))
    }

    fn detection(&self) -> anyhow::Result<Arc<Detection>> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = match &*rules {
            Rules::Compiled(detection) => return Ok(detection.clone()),
            Rules::Text { user_agent_rules, crawler_list } => Detection::new(user_agent_rules, crawler_list),
        };
        let detection = Arc::new(compiled.context("user_agent_rules or crawler_list")?);
        *rules = Rules::Compiled(detection.clone());
        Ok(detection)
    }
}

/// What the thread begins with.
pub(crate) struct Restore {
    /// Configuration.
    pub(crate) config: Config,
    /// How long a stopping edge goes on with what is in the WAL, milliseconds.
    pub(crate) drain_ms: u64,
    /// The data directory.
    pub(crate) disk: Arc<DataDir>,
    /// How far the last flush came.
    pub(crate) progress: Progress,
    /// What user agents are told by. Compiling it takes seconds, so that is done here too.
    pub(crate) user_agents: Arc<UserAgents>,
    /// Told what is known of user agents.
    pub(crate) tail: Arc<Tail>,
    /// The configuration; nothing is processed before there is one.
    pub(crate) replica: Arc<Replica>,
    /// The rules that hits name.
    pub(crate) rules: Arc<dyn RulesSource>,
    /// Told which erasures have their mark.
    pub(crate) forgets: Arc<Forgets>,
    /// Committed blocks.
    pub(crate) feed: FeedReceiver,
    /// Accounts.
    pub(crate) ledger: Arc<Ledger>,
    /// Time.
    pub(crate) clock: SharedClock,
    /// Metrics.
    pub(crate) metrics: ProcessMetrics,
    /// Told the seq of the last rollup batch after each flush.
    pub(crate) flushed: watch::Sender<u64>,
    /// The edge stops.
    pub(crate) shutdown: CancellationToken,
}

impl Restore {
    /// Restores the state and processes until the committer has ended.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        // Whoever waits for an answer goes first. On Linux this is the priority of the calling thread alone.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "processing keeps the priority of accepting");
        }
        fail::hold("edge.process.restore");
        // Hits of an edge that lost its copy wait here for a new one: without their rules they would be dropped.
        while self.replica.position().is_nothing() {
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.process()?.run()
    }

    /// The process as of the last flush.
    fn process(self) -> anyhow::Result<Process> {
        let begun_ms = self.clock.monotonic_ms();
        let detection = self.user_agents.detection()?;
        self.tail.learn(&detection);
        let stored = self.disk.state.load_state()?;
        let owner = &self.disk.owner;
        let processor = Processor::restore(
            owner.edge.clone(),
            owner.epoch,
            detection,
            self.rules,
            self.config.limits.clone(),
            stored.checkpoint.as_deref(),
            &stored.changes,
        )
        .context("the stored state of processing")?;
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let checkpoint_bytes = stored.checkpoint.as_deref().map_or(0, length);
        let changes_bytes = stored.changes.iter().map(|change| length(change)).sum();
        drop(stored);
        tracing::info!(
            ms = self.clock.monotonic_ms().saturating_sub(begun_ms),
            bytes = checkpoint_bytes + changes_bytes,
            open_sessions = processor.gauges().open_sessions,
            "restored the state of processing"
        );
        let parts = Parts {
            config: self.config,
            drain_ms: self.drain_ms,
            disk: self.disk,
            feed: self.feed,
            forgets: self.forgets,
            processor,
            ledger: self.ledger,
            clock: self.clock,
            metrics: self.metrics,
            flushed: self.flushed,
            shutdown: self.shutdown,
        };
        Process::new(parts, self.progress, checkpoint_bytes, changes_bytes)
    }
}
