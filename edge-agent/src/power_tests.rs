//! A loss of power at any call loses no hit that was answered, no mark of an erasure before it, no flush, no acknowledged batch and no salt.
//!
//! The stages themselves do the work, one after the other, in a process that is recorded; the disk is then laid out as a
//! loss of power may have left it, and opened as at a start. See `crates/power-loss`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use batch::Lane;
use configuration::Salt;
use configuration::salts::{self, SALT_BYTES};
use hit::{BlockView, Forget};
use power_loss::{Case, acknowledged, step};
use prometheus_client::metrics::counter::Counter;
use service::TestClock;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::collect::salts::Salts;
use crate::disk::DataDir;
use crate::fixture::{NOW_MS, block, open, page_view, processor, try_open};
use crate::handoff::forgets::Forgets;
use crate::handoff::refused::RefusedHits;
use crate::handoff::{Gate, feed, intake};
use crate::ledger::Ledger;
use crate::metrics::pipeline::{ProcessMetrics, WalMetrics};
use crate::process::{self, Process};
use crate::wal::committer::{self, Committer};

/// Where the data directory is: its parents are made with it.
const DATA_DIR: &str = "lib/edge";
/// Later by so much, the first salts have expired.
const LATER_MS: u64 = 5 * 86_400_000;
/// Of the one that is made last then.
const LATER_SALT: &str = "2026-01-08.salt";
/// Hits per round; a WAL file holds one or two.
const HITS: u64 = 3;

const NEW: &str = "redb syncs a new database several times before it gets its name: the last one counts";
const CLOSE: &str = "a database is closed in steps; without the later ones it is repaired when it is opened";
const SALTS: &str = "one per salt, and the last counts";
const OPEN: &str = "what opening writes (a repair, that it is open) is written again by the next opening";
const REPAIR: &str = "a file is repaired in steps; without the later ones it is repaired again";
const COVERED: [(&str, &str); 11] = [
    ("acknowledge: lib/edge/wal/", "a file that was deleted last and is back is deleted again"),
    ("close: lib/edge/*.redb", CLOSE),
    ("close: lib/edge/wal/*.redb", CLOSE),
    (
        "commit: lib/edge/wal/*.redb",
        "the first is that of an append; then a file that was rolled is closed, in steps",
    ),
    ("commit: lib/edge/wal/*.tmp", NEW),
    ("keep and erase salts: lib/edge/salts/", SALTS),
    ("keep salts: lib/edge/salts/", SALTS),
    ("open: lib/edge/*.tmp", NEW),
    ("open: lib/edge/wal/*.redb", REPAIR),
    ("open: lib/edge/wal/*.tmp", NEW),
    ("replace salts: lib/edge/salts/", SALTS),
];
const NEEDLESS: [(&str, &str); 2] = [
    ("keep salts: lib/", "the data directory was made durable when it was opened"),
    ("open: lib/edge/*.redb", OPEN),
];

#[test]
fn everything_acknowledged_outlives_a_loss_of_power_at_any_call() {
    Case {
        test: "power_tests::everything_acknowledged_outlives_a_loss_of_power_at_any_call",
        work,
        check,
        seeds: 1_000,
        covered: &COVERED,
        needless: &NEEDLESS,
    }
    .prove();
}

fn work(root: &Path) {
    let root = root.join(DATA_DIR);
    // Once more is enough for a run that was killed.
    let rounds = if root.exists() { 1 } else { 2 };
    for _ in 0..rounds {
        step("open");
        let disk = Arc::new(open(&root));
        acknowledged(format!("epoch {}", disk.owner.epoch));
        keep_salts(&root);
        step("commit");
        let committed = commit(&disk);
        step("flush");
        flush(&disk, committed);
        step("acknowledge");
        acknowledge(&disk);
        step("close");
    }
}

fn keep_salts(root: &Path) {
    let now_ms = if root.join("salts").join(LATER_SALT).exists() { NOW_MS + LATER_MS } else { NOW_MS };
    step("keep salts");
    let salts = Salts::open(root, now_ms).unwrap();
    keep(&salts, 1, now_ms);
    step("replace salts");
    keep(&salts, 2, now_ms);
    let before = salts.in_force();
    step("keep and erase salts");
    keep(&salts, 3, NOW_MS + LATER_MS);
    let after = salts.in_force();
    before
        .salts
        .keys()
        .filter(|date| !after.salts.contains_key(date))
        .for_each(|date| acknowledged(format!("erased {date}")));
}

/// Takes another one in for each date that needs one, and says what is in force.
fn keep(salts: &Salts, round: u8, now_ms: u64) {
    let before = salts.in_force();
    // From here on it may be the one or the other, or be erased.
    before.salts.keys().for_each(|date| acknowledged(format!("expired {date}")));
    let told =
        salts::wanted(now_ms).into_iter().zip(1..).map(|(date, n)| (date, Salt::new([16 * round + n; 16])));
    salts.told().put(&told.collect(), now_ms);
    salts.refresh(now_ms).unwrap();
    let in_force = salts.in_force();
    assert!(in_force.cover(now_ms));
    in_force.salts.iter().for_each(|(date, salt)| acknowledged(format!("salt {date} {:?}", salt.bytes())));
}

/// Hits through the committer, each acknowledged when it was answered; gives the number of the next block.
fn commit(disk: &Arc<DataDir>) -> u64 {
    let end = disk.wal.end();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let gate = Arc::new(Gate::default());
    let (mut ends, intake) = intake(1, 10, 1 << 20, &gate);
    let (sender, answers) = ends.remove(0);
    runtime.spawn(answers.deliver());
    let (feed, _fed) = feed(100, end.block);
    let ledger = ledger(disk);
    let forgets = Arc::<Forgets>::default();
    forgets.are_marked(std::iter::empty());
    let job = format!("e_{}", end.position);
    forgets.want(vec![Forget { job: job.clone(), property_id: "p_a".into(), visitor_ids: vec![1] }]);
    let parts = committer::Parts {
        refused: Arc::new(RefusedHits::new(0, Counter::default())),
        forgets,
        config: crate::wal::Config { file_bytes: 300, gather_us: 0, ..Default::default() },
        disk: disk.clone(),
        intake,
        gate,
        feed,
        ledger: ledger.clone(),
        clock: TestClock::new(NOW_MS.max(end.received_at_ms)).shared(),
        metrics: WalMetrics::default(),
    };
    let committer = Committer::new(parts).unwrap();
    let thread = std::thread::spawn(|| committer.run());
    for hit in end.position..end.position + HITS {
        runtime.block_on(sender.commit(page_view(hit), 1)).unwrap();
        acknowledged(format!("hits {}", hit + 1));
        // It rode along with the first of them, or came before.
        acknowledged(format!("mark {job}"));
    }
    drop(sender);
    thread.join().unwrap().unwrap();
    // Closes the files that were rolled, as the committer does whenever it measures the disk.
    disk.wal.disk_bytes();
    ledger.snapshot().next_block
}

fn ledger(disk: &DataDir) -> Arc<Ledger> {
    let progress = disk.state.load_progress().unwrap();
    Arc::new(Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox().unwrap()))
}

/// Everything committed into batches.
fn flush(disk: &Arc<DataDir>, committed: u64) {
    let progress = disk.state.load_progress().unwrap();
    let parts = process::Parts {
        config: process::Config::default(),
        disk: disk.clone(),
        // The committer has ended: everything is in the files.
        feed: feed(1, committed).1,
        forgets: Arc::default(),
        processor: processor(disk),
        ledger: ledger(disk),
        clock: TestClock::new(NOW_MS).shared(),
        metrics: ProcessMetrics::default(),
        flushed: watch::channel(0).0,
        drain_ms: 0,
        shutdown: CancellationToken::new(),
    };
    Process::new(parts, progress, 0, 0).unwrap().run().unwrap();
    acknowledged(format!("flushed {}", disk.state.load_progress().unwrap().next_position));
}

/// A hub has everything but the last batches.
fn acknowledge(disk: &DataDir) {
    let outbox = disk.state.load_outbox().unwrap();
    let (sender, receiver) = mpsc::channel(100);
    for seq in outbox.rollup.keys().rev().skip(1) {
        sender.blocking_send((Lane::Rollup, *seq)).unwrap();
    }
    for seq in outbox.raw.keys().rev().skip(1) {
        sender.blocking_send((Lane::Raw, *seq)).unwrap();
    }
    drop(sender);
    crate::outbox::run(disk, &ledger(disk), receiver).unwrap();
    acknowledged(format!("delivered {}", disk.state.load_outbox().unwrap().delivered));
}

/// The last word of each kind.
#[derive(Default)]
struct Promises<'a> {
    numbers: BTreeMap<&'a str, &'a str>,
    salts: BTreeMap<&'a str, &'a str>,
    erased: Vec<&'a str>,
}

impl<'a> Promises<'a> {
    fn of(acknowledged: &'a [String]) -> Self {
        let mut promises = Self::default();
        for (kind, what) in acknowledged.iter().filter_map(|word| word.split_once(' ')) {
            match kind {
                "salt" => {
                    let (date, salt) = what.split_once(' ').unwrap();
                    promises.salts.insert(date, salt);
                }
                "expired" => drop(promises.salts.remove(what)),
                "erased" => promises.erased.push(what),
                _ => drop(promises.numbers.insert(kind, what)),
            }
        }
        promises
    }

    fn number(&self, kind: &str) -> u64 {
        self.numbers.get(kind).map_or(0, |number| number.parse().unwrap())
    }
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let root = root.join(DATA_DIR);
    let promises = Promises::of(acknowledged);
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let disk = Arc::new(try_open(&root).map_err(|error| text(&error))?);
    let expect = |what: &str, is: bool| if is { Ok(()) } else { Err(format!("{what} is not as promised")) };
    let epoch = disk.owner.epoch.to_string();
    expect("the epoch", promises.numbers.get("epoch").is_none_or(|promised| *promised == epoch))?;
    let end = disk.wal.end();
    expect("the end of the WAL", end.position >= promises.number("hits"))?;
    let progress = disk.state.load_progress().map_err(|error| text(&error))?;
    expect("progress", progress.next_position >= promises.number("flushed"))?;
    for lane in [Lane::Rollup, Lane::Raw] {
        let mut after = 0;
        while let Some(batch) = disk.next_batch(lane, after).map_err(|error| text(&error))? {
            after = batch.header().id.seq;
        }
    }
    let outbox = disk.state.load_outbox().map_err(|error| text(&error))?;
    expect("what was delivered", outbox.delivered >= promises.number("delivered"))?;
    let accounts = Ledger::opened(&end, &progress, outbox).snapshot();
    let dropped: u64 = progress.dropped.values().sum();
    expect("the account", accounts.acknowledged == accounts.delivered + dropped + accounts.queued())?;
    // It goes on from there.
    let next = disk.wal.active().map_err(|error| text(&error))?;
    next.append(end.block, &block(end, Some(end.position))).map_err(|error| text(&error))?;
    let mut processor = processor(&disk);
    for number in progress.next_block..=end.block {
        let (_, bytes) = disk.wal.read(number).map_err(|error| text(&error))?;
        let (header, body) = hit::block::open(&bytes).map_err(|error| text(&error))?;
        let block = BlockView::parse(header, &body).map_err(|error| text(&error))?;
        processor.on_block(&block).map_err(|error| text(&error))?;
    }
    let is_applied = |job: &&str| processor.applied_jobs().any(|applied| applied == *job);
    expect("the mark of an erasure", promises.numbers.get("mark").is_none_or(is_applied))?;
    check_salts(&root, &promises)
}

fn check_salts(root: &Path, promises: &Promises<'_>) -> Result<(), String> {
    let file = |date: &str| root.join("salts").join(format!("{date}.salt"));
    if let Some(date) = promises.erased.iter().find(|date| file(date).exists()) {
        return Err(format!("the salt of {date} is back"));
    }
    let now_ms = if promises.erased.is_empty() { NOW_MS } else { NOW_MS + LATER_MS };
    let held = Salts::open(root, now_ms).map_err(|error| error.to_string())?.in_force();
    // Whichever it is, it is whole: all bytes of a salt are the same here.
    for entry in std::fs::read_dir(root.join("salts")).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        if bytes.len() != SALT_BYTES || bytes.iter().any(|byte| Some(byte) != bytes.first()) {
            return Err(format!("{} holds {bytes:?}", path.display()));
        }
    }
    for (date, promised) in &promises.salts {
        let found = held.salts.get(&date.parse().unwrap()).map(|salt| format!("{:?}", salt.bytes()));
        if found.as_deref() != Some(promised) {
            return Err(format!("the salt of {date} is {found:?}, not {promised}"));
        }
    }
    Ok(())
}
