//! What became of the hits since the epoch began: `hits = repeated + Σ by_class + Σ dropped`, after every block.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::handover::{DropReason, TrafficClass};

/// Cumulative counts, as of the last block processed; part of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Hits in all blocks.
    pub hits: u64,
    /// Of these, repeats of a hit counted before.
    pub repeated: u64,
    /// Hits that went into rows, by traffic class.
    pub by_class: BTreeMap<TrafficClass, u64>,
    /// Hits that went into no row, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Hits that collect did not take and that are in no row of refusals: the rules they name are not there, or name no zone. They are
    /// not among `hits`.
    pub refused_without_rules: u64,
}

impl Totals {
    /// Hits that went into rows.
    pub fn counted(&self) -> u64 {
        self.by_class.values().sum()
    }

    /// Hits that went into no row, repeats apart.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// How full the state is, as of the last block processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Sessions that are open.
    pub open_sessions: u64,
    /// Closed sessions that a client's session id may still name.
    pub remembered_sessions: u64,
    /// Visitors that are known, see `recognise`.
    pub known_visitors: u64,
    /// Ids of hits in the window.
    pub id_window_entries: u64,
    /// Memory of the id window, bytes.
    pub id_window_bytes: u64,
    /// Received time of the last block less that of the oldest id kept, milliseconds; 0 when no id is kept.
    pub id_window_reach_ms: u64,
    /// Pages, titles, hosts and custom values that are counted in hours, see `fold`.
    pub counted_pages: u64,
    /// Erasures that were applied, see `forget`.
    pub applied_jobs: u64,
}
