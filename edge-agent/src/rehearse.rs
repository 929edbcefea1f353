//! For measuring and for tests: fills a data directory as an edge leaves it that was told its salts, or had very much to do when it was
//! killed.
//!
//! In: dates, sizes. Out: files of salts; a WAL whose first hits are processed and sealed (each opens a session that is still open) and whose
//! last hits are in no batch. Everything is written by the code that an edge runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use configuration::salts::SALT_BYTES;
use configuration::{Replica, Salt, fixture};
use hit::{BlockHeader, EdgeId, HitView, RawHit, block};
use jiff::civil::Date;
use property::Property;
use service::clock::SystemClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::collect::salts::Salts;
use crate::config::Config;
use crate::disk::wal_file::Start;
use crate::disk::{Caches, DataDir};
use crate::handoff;
use crate::ledger::Ledger;
use crate::metrics::pipeline::ProcessMetrics;
use crate::process::restore::{Restore, UserAgents};
use crate::properties::Properties;

/// Hits per block, as an edge under load writes them.
const BLOCK_HITS: u64 = 10_000;

/// How long ago the first hit came, milliseconds: less than a session waits.
const BEGAN_BEFORE_MS: u64 = 20 * 60_000;

/// Pages that are viewed.
const PAGES: u64 = 200_000;

/// Gives an edge that no hub tells anything the salts of these dates, random ones.
///
/// # Errors
/// When they cannot be written.
pub fn salt_files(data_dir: &Path, dates: &[Date]) -> anyhow::Result<()> {
    let salts = Salts::open(data_dir, 0)?;
    for date in dates {
        let mut bytes = [0; SALT_BYTES];
        getrandom::fill(&mut bytes)?;
        salts.write(*date, &Salt::new(bytes))?;
    }
    Ok(())
}

/// How much is left behind.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Sessions that are open, each with one processed hit; the n-th hit has the id `hit-n`.
    pub sessions: u64,
    /// Hits behind them that are in no batch; the ids go on.
    pub unprocessed_hits: u64,
}

/// Fills `config.data_dir`. `now_ms` is the time at which the edge is killed.
///
/// # Errors
/// When the directory or what the configuration names cannot be used.
pub fn fill(
    config: &Config,
    edge: &EdgeId,
    property_id: &str,
    sizes: Sizes,
    now_ms: u64,
) -> anyhow::Result<()> {
    let caches = Caches { wal_bytes: config.wal.cache_bytes, state_bytes: config.outbox.cache_bytes };
    let disk = Arc::new(crate::disk::open(&config.data_dir, edge, caches)?);
    let total = sizes.sessions + sizes.unprocessed_hits;
    let hits = Hits { property_id, sessions: sizes.sessions, total, now_ms };
    let mut wal = Wal { disk: &disk, config, next: disk.wal.end(), file_bytes: 0 };
    wal.append(&hits, sizes.sessions)?;
    process(config, &disk)?;
    wal.append(&hits, total)
}

/// Processes and seals everything that is in the WAL.
fn process(config: &Config, disk: &Arc<DataDir>) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"));
    let properties = Properties::default();
    let path = config.data_dir.join(crate::CONFIG_FILE);
    let replica = Replica::open(&path, config.config.cache_bytes, Arc::new(properties.clone()))?;
    let progress = disk.state.load_progress()?;
    let end = disk.wal.active()?.extent(&disk.owner)?.end;
    let ledger = Ledger::opened(&end, &progress, disk.state.load_outbox()?);
    // The committer's end is dropped at once: everything is in the files.
    let (_, feed) = handoff::feed(1, end.block);
    let restore = Restore {
        config: config.process.clone(),
        drain_ms: 0,
        disk: disk.clone(),
        progress,
        user_agents: Arc::new(UserAgents::new(read(&config.user_agent_rules)?, read(&config.crawler_list)?)),
        tail: Arc::default(),
        replica,
        rules: Arc::new(properties),
        feed,
        forgets: Arc::default(),
        ledger: Arc::new(ledger),
        clock: SystemClock::shared(),
        metrics: ProcessMetrics::default(),
        flushed: watch::channel(0).0,
        shutdown: CancellationToken::new(),
    };
    restore.run()
}

/// A local copy of the configuration as an edge holds it.
#[derive(Debug)]
pub struct Held {
    properties: Properties,
    replica: Arc<Replica>,
}

impl Held {
    /// Opens the copy and indexes it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let properties = Properties::default();
        let cache_bytes = Config::default().config.cache_bytes;
        let replica = Replica::open(path, cache_bytes, Arc::new(properties.clone()))?;
        Ok(Self { properties, replica })
    }

    /// Looks a property up as a hit does.
    pub fn knows(&self, measurement_id: &str) -> bool {
        self.properties.by_measurement_id(measurement_id).is_some()
    }

    /// Puts a version in force that has this property otherwise.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn change(&self, property: &Property) -> anyhow::Result<()> {
        let mut records = vec![fixture::property(property)];
        if let Some(value) = records.first_mut().and_then(|record| record.value.as_mut()) {
            // An unknown field: another value of the same meaning.
            value.extend([0xc0, 0x3e, 0x01]);
        }
        self.replica.apply(&[fixture::next(&self.replica, records)?])?;
        Ok(())
    }
}

/// Hits by number: the first ones open sessions, those behind them join these.
struct Hits<'a> {
    property_id: &'a str,
    sessions: u64,
    total: u64,
    now_ms: u64,
}

impl Hits<'_> {
    fn received_at_ms(&self, n: u64) -> u64 {
        self.now_ms - BEGAN_BEFORE_MS + BEGAN_BEFORE_MS * n / self.total.max(1)
    }

    fn hit(&self, n: u64) -> RawHit {
        RawHit {
            property_id: self.property_id.to_owned(),
            rules_version: 1,
            event_time_ms: self.received_at_ms(n),
            // Spread over all 64 bits, as hashes are.
            visitor_id: (n % self.sessions.max(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            hit_id: format!("hit-{n}"),
            event: "page_view".to_owned(),
            url: format!("https://example.com/catalogue/{}/item.html", n.wrapping_mul(7919) % PAGES),
            user_agent: format!("Firefox/{} Linux", n % 100),
            country: "DE".to_owned(),
            ..RawHit::default()
        }
    }
}

/// The end of the WAL.
struct Wal<'a> {
    disk: &'a Arc<DataDir>,
    config: &'a Config,
    next: Start,
    file_bytes: u64,
}

impl Wal<'_> {
    /// Appends the hits up to the number `to`.
    fn append(&mut self, hits: &Hits<'_>, to: u64) -> anyhow::Result<()> {
        while self.next.position < to {
            let until = to.min(self.next.position + BLOCK_HITS);
            let mut body = Vec::new();
            for n in self.next.position..until {
                HitView::of(&hits.hit(n)).push_to(&mut body);
            }
            let header = BlockHeader {
                block: self.next.block,
                from: self.next.position,
                hits: u32::try_from(until - self.next.position)?,
                received_at_ms: hits.received_at_ms(until - 1),
            };
            let bytes = block::encode(header, &body, self.config.wal.zstd_level)?;
            if self.file_bytes >= self.config.wal.file_bytes {
                self.disk.wal.roll(self.next)?;
                self.disk.wal.disk_bytes();
                self.file_bytes = 0;
            }
            self.disk.wal.active()?.append(header.block, &bytes)?;
            self.file_bytes += u64::try_from(bytes.len())?;
            self.next =
                Start { block: header.block + 1, position: until, received_at_ms: header.received_at_ms };
        }
        Ok(())
    }
}
