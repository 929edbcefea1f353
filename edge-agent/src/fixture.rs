//! What tests of several stages begin with: a data directory, blocks of hits, a processor with few rules.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use hit::{BlockHeader, EdgeId, RawHit, Rules, RulesSource, block};
use processing::{Detection, Limits, Processor};

use crate::disk::wal_file::Start;
use crate::disk::{Caches, DataDir, OpenError};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: u64 = 1_767_225_600_000;

pub(crate) fn edge() -> EdgeId {
    "edge-1".parse().unwrap()
}

pub(crate) fn try_open(root: &Path) -> Result<DataDir, OpenError> {
    crate::disk::open(root, &edge(), Caches { wal_bytes: 1 << 20, state_bytes: 1 << 20 })
}

pub(crate) fn open(root: &Path) -> DataDir {
    try_open(root).unwrap()
}

/// Everything in a directory, as a `kill -9` at this moment would leave it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// An encoded body of one page view.
pub(crate) fn page_view(n: u64) -> Vec<u8> {
    let hit = RawHit {
        property_id: "p_a".into(),
        rules_version: 1,
        event_time_ms: NOW_MS + n * 1_000,
        visitor_id: n % 7,
        // Every fifth is a repeat of the one before.
        hit_id: (n - u64::from(n % 5 == 4)).to_string(),
        event: "page_view".into(),
        url: format!("https://example.com/{}", n % 3),
        user_agent: "Mozilla/5.0 (X11; Linux) Firefox/1".into(),
        ..RawHit::default()
    };
    let mut body = Vec::new();
    hit::HitView::of(&hit).push_to(&mut body);
    body
}

/// The bytes of the block at `start` with one page view; `None`: a tick.
pub(crate) fn block(start: Start, hit: Option<u64>) -> Vec<u8> {
    let header = BlockHeader {
        block: start.block,
        from: start.position,
        hits: u32::from(hit.is_some()),
        received_at_ms: NOW_MS + start.block * 1_000,
    };
    block::encode(header, &hit.map(page_view).unwrap_or_default(), 1).unwrap()
}

/// Where the WAL goes on after the block at `start`.
pub(crate) fn after(start: Start, hits: u64) -> Start {
    Start {
        block: start.block + 1,
        position: start.position + hits,
        received_at_ms: NOW_MS + start.block * 1_000,
    }
}

/// Appends blocks of one page view each, the files rolled every `per_file` blocks; gives the new end.
pub(crate) fn append(disk: &DataDir, mut next: Start, blocks: u64, per_file: u64) -> Start {
    for _ in 0..blocks {
        if next.block > 0 && next.block.is_multiple_of(per_file) {
            disk.wal.roll(next).unwrap();
        }
        disk.wal.active().unwrap().append(next.block, &block(next, Some(next.block))).unwrap();
        next = after(next, 1);
    }
    next
}

struct OneProperty;

impl RulesSource for OneProperty {
    fn rules(&self, property_id: &str, _version: u32) -> Option<Arc<Rules>> {
        (property_id == "p_a").then(|| Arc::new(Rules::first("UTC")))
    }
}

/// A few rules of user agents, read once.
fn detection() -> Arc<Detection> {
    static DETECTION: OnceLock<Arc<Detection>> = OnceLock::new();
    let yaml = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";
    let make = || Arc::new(Detection::new(yaml, r#"[{"pattern": "bot"}]"#).unwrap());
    DETECTION.get_or_init(make).clone()
}

/// The processor as of the last flush in `disk`.
pub(crate) fn processor(disk: &DataDir) -> Processor {
    let stored = disk.state.load_state().unwrap();
    Processor::restore(
        edge(),
        disk.owner.epoch,
        detection(),
        Arc::new(OneProperty),
        Limits::default(),
        stored.checkpoint.as_deref(),
        &stored.changes,
    )
    .unwrap()
}
