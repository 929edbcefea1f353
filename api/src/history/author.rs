//! The author: the one thread of this api that reads and writes the log.
//!
//! It wakes when a change is wanted and every `poll_ms`. Changes that wait together become one entry; each is decided on what those before
//! it wrote. When another api was faster, its entry is applied and all are decided again. What cannot be followed (damaged, of a newer
//! schema) is told with an ERROR line: reports go on with the last good version, changes are refused.

use std::sync::Arc;
use std::time::Duration;

use configuration::{Position, SCHEMA};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use proto::config::{Change, LogEntry, Write};
use service::SharedClock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::draft::{Draft, checksum_after};
use super::log::{Created, Log};
use super::start::{Copies, apply};
use super::{Attribution, HistoryConfig, StartError, audit, project};
use crate::refuse::{Code, Refusal};

/// Most callers' changes in one entry.
const TOGETHER: usize = 256;

/// Bytes of written records after which an entry takes no further caller's changes.
const FULL_BYTES: usize = 4 << 20;

/// Most bytes that one caller's change may write: half of what followers take in one message, for what was there before is in the log too.
const CHANGE_MAX_BYTES: usize = configuration::follow::MESSAGE_MAX_BYTES / 2;

/// Times that a group is decided anew because other apis were faster.
const ROUNDS: u32 = 64;

/// Failed looks at the log between two ERROR lines.
const SAY_EVERY: u64 = 120;

/// What is told to a caller: the value, and the version that has it.
type Reply<T> = oneshot::Sender<Result<(T, u64), Refusal>>;

/// A change that is wanted.
pub(super) struct Wanted {
    by: Attribution,
    change: Box<dyn Decide>,
}

trait Decide: Send {
    /// Decides on this state; false: refused.
    fn decide(&mut self, draft: &mut Draft<'_>) -> bool;
    /// What was decided does not hold.
    fn refuse(&mut self, refusal: Refusal);
    /// Tells the caller what was decided, with the version it is in; or what went wrong.
    fn tell(self: Box<Self>, version: Result<u64, Refusal>);
}

struct Decision<T, F> {
    make: F,
    made: Option<Result<T, Refusal>>,
    reply: Reply<T>,
}

impl<T, F> Decide for Decision<T, F>
where
    T: Send,
    F: FnMut(&mut Draft<'_>) -> Result<T, Refusal> + Send,
{
    fn decide(&mut self, draft: &mut Draft<'_>) -> bool {
        let made = self.made.insert((self.make)(draft));
        made.is_ok()
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.made = Some(Err(refusal));
    }

    fn tell(self: Box<Self>, version: Result<u64, Refusal>) {
        let answer = match (self.made, version) {
            (Some(Err(refusal)), _) | (_, Err(refusal)) => Err(refusal),
            (Some(Ok(value)), Ok(version)) => Ok((value, version)),
            (None, Ok(_)) => Err(Refusal::new(Code::Internal, "nothing was decided")),
        };
        // The caller may have hung up: the change holds all the same.
        let _unheard = self.reply.send(answer);
    }
}

impl Wanted {
    pub(super) fn new<T: Send + 'static>(
        by: Attribution,
        make: impl FnMut(&mut Draft<'_>) -> Result<T, Refusal> + Send + 'static,
        reply: Reply<T>,
    ) -> Self {
        Self { by, change: Box::new(Decision { make, made: None, reply }) }
    }
}

/// What is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthorMetrics {
    written: Counter,
    read: Counter,
    conflicts: Counter,
    failures: Counter,
}

impl AuthorMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("api_config_written", "Versions of the configuration written by this api", &metrics.written),
            (
                "api_config_read",
                "Versions of the configuration written by others and read here",
                &metrics.read,
            ),
            (
                "api_config_conflicts",
                "Changes decided anew because another api was faster",
                &metrics.conflicts,
            ),
            (
                "api_config_failures",
                "Reads and writes of the configuration's log that failed",
                &metrics.failures,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}

/// The thread's state.
pub struct Author {
    log: Arc<Log>,
    copies: Copies,
    queue: mpsc::Receiver<Wanted>,
    clock: SharedClock,
    metrics: AuthorMetrics,
    poll: Duration,
    snapshot_versions: u64,
    /// Version at which a snapshot was last begun.
    snapshot_at: u64,
    snapshot: Option<std::thread::JoinHandle<()>>,
}

impl Author {
    pub(super) fn new(
        config: &HistoryConfig,
        log: Arc<Log>,
        copies: Copies,
        queue: mpsc::Receiver<Wanted>,
        clock: SharedClock,
        metrics: AuthorMetrics,
    ) -> Self {
        Self {
            log,
            snapshot_at: copies.replica.position().version,
            copies,
            queue,
            clock,
            metrics,
            poll: Duration::from_millis(config.poll_ms),
            snapshot_versions: config.snapshot_versions,
            snapshot: None,
        }
    }

    pub(super) fn run(mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let runtime = self.log.runtime().clone();
        loop {
            let first = runtime.block_on(async {
                tokio::select! {
                    () = shutdown.cancelled() => Err(()),
                    wanted = self.queue.recv() => wanted.map(Some).ok_or(()),
                    () = tokio::time::sleep(self.poll) => Ok(None),
                }
            });
            let Ok(first) = first else { break };
            let mut group: Vec<Wanted> = first.into_iter().collect();
            while group.len() < TOGETHER
                && let Ok(next) = self.queue.try_recv()
            {
                group.push(next);
            }
            match self.write(&mut group) {
                Ok(()) => {}
                Err(StartError::Replica(error)) => return Err(error.into()),
                Err(error) => self.refuse(group, &error),
            }
            self.write_snapshot();
        }
        if let Some(writing) = self.snapshot.take() {
            let _ended = writing.join();
        }
        Ok(())
    }

    fn refuse(&self, group: Vec<Wanted>, error: &StartError) {
        if self.metrics.failures.inc().is_multiple_of(SAY_EVERY) || !group.is_empty() {
            tracing::error!(%error, "the configuration's log does not work; the last good version stays in force");
        }
        let said = "the configuration cannot be written now, and what was asked for may or may not have been; look, then try again";
        for wanted in group {
            wanted.change.tell(Err(Refusal::new(Code::Unavailable, said)));
        }
    }

    /// Follows the log to its end, and writes what is wanted behind it. Callers that were answered are taken out of the group.
    fn write(&mut self, group: &mut Vec<Wanted>) -> Result<(), StartError> {
        self.follow()?;
        let mut conflicts = 0;
        while !group.is_empty() && conflicts < ROUNDS {
            let (changes, decided) = self.decide(group)?;
            if changes.is_empty() {
                // Nothing to write: refused, or as it is already.
                let version = self.copies.replica.position().version;
                group.drain(..decided).for_each(|wanted| wanted.change.tell(Ok(version)));
                continue;
            }
            let entry = self.entry(changes)?;
            match self.log.create(&entry)? {
                Created::Ours => {
                    self.apply(&entry)?;
                    self.metrics.written.inc();
                    let version = self.copies.replica.position().version;
                    group.drain(..decided).for_each(|wanted| wanted.change.tell(Ok(version)));
                }
                Created::Theirs => {
                    self.metrics.conflicts.inc();
                    conflicts += 1;
                    self.follow()?;
                }
            }
        }
        let said = "other apis write the configuration all the time; try again";
        group.drain(..).for_each(|wanted| wanted.change.tell(Err(Refusal::new(Code::Overloaded, said))));
        Ok(())
    }

    /// Applies what others wrote.
    fn follow(&self) -> Result<(), StartError> {
        while let Some(entry) = self.log.entry(self.copies.replica.position().version + 1)? {
            self.apply(&entry)?;
            self.metrics.read.inc();
        }
        Ok(())
    }

    fn apply(&self, entry: &LogEntry) -> Result<(), StartError> {
        apply(&self.copies.replica, &project::whole(entry))?;
        let delta = project::to_edges(entry, &self.copies.for_edges).map_err(|error| {
            configuration::Refused::Corrupt {
                version: self.copies.replica.position().version,
                problem: error.to_string(),
            }
        })?;
        apply(&self.copies.for_edges, &delta)
    }

    /// What the first of the group write, as many as fit into an entry, and how many these are. One that writes nothing or is refused
    /// has no change.
    fn decide(&self, group: &mut [Wanted]) -> Result<(Vec<Change>, usize), StartError> {
        let reader = self.copies.replica.read()?;
        let at_ms = self.clock.now_ms();
        let (mut written, mut changes, mut bytes) = (std::collections::BTreeMap::new(), Vec::new(), 0);
        let mut decided = 0;
        for wanted in group {
            if bytes >= FULL_BYTES {
                break;
            }
            decided += 1;
            let mut draft = Draft::new(&reader, &written);
            if !wanted.change.decide(&mut draft) {
                continue;
            }
            let mut writes = draft.into_writes()?;
            if writes.is_empty() {
                continue;
            }
            let written_bytes = size(&writes);
            if written_bytes > CHANGE_MAX_BYTES {
                let said =
                    format!("the change would write more than {CHANGE_MAX_BYTES} bytes; make it in parts");
                wanted.change.refuse(Refusal::new(Code::TooLarge, said));
                continue;
            }
            bytes += written_bytes;
            let Attribution { actor, method } = wanted.by.clone();
            written.extend(writes.iter().map(|write| (write.key.clone(), write.after.clone())));
            let version = self.copies.replica.position().version + 1;
            let index =
                audit::index(&Draft::new(&reader, &written), (version, changes.len()), &actor, &writes)?;
            written.extend(index.iter().map(|write| (write.key.clone(), write.after.clone())));
            writes.extend(index);
            changes.push(Change { actor: Some(actor), at_ms, method: method.to_owned(), writes });
        }
        Ok((changes, decided))
    }

    fn entry(&self, changes: Vec<Change>) -> Result<LogEntry, StartError> {
        let at = self.copies.replica.position();
        let checksum =
            changes.iter().fold(at.checksum, |checksum, change| checksum_after(checksum, &change.writes));
        let mut entry_id = [0; 16];
        getrandom::fill(&mut entry_id).map_err(StartError::Random)?;
        let position = Position { version: at.version + 1, checksum, ..at };
        Ok(LogEntry { position: Some(position.into()), schema: SCHEMA, entry_id: entry_id.to_vec(), changes })
    }

    /// Begins a snapshot if one is due; it is written beside everything else.
    fn write_snapshot(&mut self) {
        let version = self.copies.replica.position().version;
        let is_due = version.saturating_sub(self.snapshot_at) >= self.snapshot_versions;
        if !is_due || self.snapshot.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        self.snapshot_at = version;
        let (log, replica) = (Arc::clone(&self.log), Arc::clone(&self.copies.replica));
        let spawned = std::thread::Builder::new().name("config-snapshot".into()).spawn(move || {
            let written = (|| -> Result<(), StartError> {
                let reader = replica.read()?;
                let version = reader.position()?.version;
                Ok(log.put_snapshot(version, configuration::snapshot::to_file(&reader)?)?)
            })();
            if let Err(error) = written {
                tracing::error!(%error, "a snapshot of the configuration was not written; the next one will be");
            }
        });
        self.snapshot = spawned.ok();
    }
}

/// Bytes that writes take as a delta.
fn size(writes: &[Write]) -> usize {
    let of_one = |write: &Write| write.key.len() + write.after.as_ref().map_or(0, Vec::len) + 16;
    writes.iter().map(of_one).sum()
}
