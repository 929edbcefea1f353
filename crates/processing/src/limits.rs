//! What processing may hold at most, and what happens at each limit. Nothing is refused here: a hit that was
//! acknowledged is counted, at a limit only less finely.

use serde::{Deserialize, Serialize};

/// Bounds of the state of one edge. A change takes effect at the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory for the ids of hits, bytes; each id takes [`crate::deduplicate::BYTES_PER_ID`]. Default 64 MiB: 1.4
    /// million ids. At the limit the oldest ids are forgotten first, and `id_window_reach_ms` shrinks below 24 h.
    pub id_window_bytes: u64,
    /// Sessions that are open at the same time, and as many closed ones that a client's session id may still name.
    /// Default 500,000. At the limit the session that is due first is closed (or forgotten) to make room.
    pub max_open_sessions: u64,
    /// Visitors of sessions that are remembered, for those of whom the client does not say whether they were there before. Default 1,000,000,
    /// about 27 bytes each: 8 in the queue and 9 in the set, both grown by doubling. At the limit the visitors remembered first are
    /// forgotten first, and are new when they come again. 0: nobody is remembered, and nothing is told of such visitors.
    pub max_known_visitors: u64,
    /// Distinct page paths, titles, hosts, items and values of custom dimensions of one property in one local hour. Default 20,000. Further new ones become `(other)`.
    pub max_pages_per_property_hour: u64,
    /// Memory for counting those paths, bytes; each path takes [`crate::fold::BYTES_PER_PAGE`]. Default 64 MiB. At the
    /// limit the count that began first is forgotten and begins anew.
    pub page_window_bytes: u64,
    /// Rows of all tables after which a batch is due. Default 50,000. One block may go past it by its own rows.
    pub max_rows_per_batch: u64,
    /// Bytes of the strings and visitor ids in those rows after which a batch is due: long names make few rows large.
    /// Default 16 MiB. One block may go past it by its own rows; a batch can hold [`batch::sealed::MAX_PAYLOAD_BYTES`].
    pub max_batch_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            id_window_bytes: 64 * 1024 * 1024,
            max_open_sessions: 500_000,
            max_known_visitors: 1_000_000,
            max_pages_per_property_hour: 20_000,
            page_window_bytes: 64 * 1024 * 1024,
            max_rows_per_batch: 50_000,
            max_batch_bytes: 16 * 1024 * 1024,
        }
    }
}
