//! The outbox: what is still to be sent. Acknowledgements empty it, on a thread of its own.
//!
//! In: acks of hubs. Out: deleted batches, and WAL files that nobody needs any more. The batches themselves come in with
//! the flushes of processing. Its size is bounded by the disk budget of the WAL: hits are refused before it grows on.

use batch::Lane;
use serde::{Deserialize, Serialize};
use service::fail;
use tokio::sync::mpsc;

use crate::disk::DataDir;
use crate::ledger::Ledger;

/// Acks that are written in one transaction at most.
const ACKS_PER_COMMIT: usize = 4096;

/// Configuration of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Acknowledgements that wait to be written; at the limit no further ones are read from the hub.
    pub ack_queue: usize,
    /// Memory for pages of the state database, bytes.
    pub cache_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { ack_queue: 1_024, cache_bytes: 32 << 20 }
    }
}

/// Runs until `ship` has dropped its end and every ack is written.
pub(crate) fn run(
    disk: &DataDir,
    ledger: &Ledger,
    mut acks: mpsc::Receiver<(Lane, u64)>,
) -> anyhow::Result<()> {
    let mut gathered = Vec::new();
    while acks.blocking_recv_many(&mut gathered, ACKS_PER_COMMIT) > 0 {
        fail::point("edge.outbox.delete.before");
        let needed = disk.state.acknowledge(&gathered)?;
        fail::point("edge.outbox.delete.after");
        ledger.acknowledged(&gathered);
        gathered.clear();
        disk.wal.delete_below(needed)?;
    }
    Ok(())
}
