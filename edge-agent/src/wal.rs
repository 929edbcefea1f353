//! The write-ahead log: what makes a hit durable before it is acknowledged.
//!
//! In: submissions of collect. Out: their answers after the commit, and committed blocks for processing. One thread
//! writes; all hits that wait share one block, one commit, one fsync. Invariant: no answer of success without a commit.

pub(crate) mod stamp;
pub(crate) mod committer;

pub(crate) use committer::Committer;

use serde::{Deserialize, Serialize};

/// Configuration of the WAL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a commit waits for more hits to share its fsync, microseconds.
    pub gather_us: u64,
    /// Hits in a block; at the limit it is committed at once. One request may go past it by its own hits.
    pub block_hits: u32,
    /// Bytes of a block before compression; likewise.
    pub block_bytes: usize,
    /// Level of zstd for blocks, 1 (fast) to 19.
    pub zstd_level: i32,
    /// Block bytes in a WAL file; at the limit the next one is begun. Files are deleted whole, and take up to twice as
    /// much on disk.
    pub file_bytes: u64,
    /// Bytes that WAL and outbox together take on disk; at least four times `file_bytes`, for a file is deleted only
    /// when a hub has all of it. At the limit hits are refused with 503 `full` until a hub has taken some.
    pub max_bytes: u64,
    /// Without hits a block is written every so many milliseconds, which lets sessions end and reports be complete. One with hits that were
    /// refused is written within a second.
    pub tick_ms: u64,
    /// How far the wall clock may go back, milliseconds. Beyond it hits are refused with 503 until it agrees again.
    pub clock_back_ms: u64,
    /// Memory for pages of each open WAL file, bytes.
    pub cache_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            gather_us: 3_000,
            block_hits: 10_000,
            block_bytes: 4 << 20,
            zstd_level: 3,
            file_bytes: 64 << 20,
            max_bytes: 4 << 30,
            tick_ms: 60_000,
            clock_back_ms: 2_000,
            cache_bytes: 8 << 20,
        }
    }
}
