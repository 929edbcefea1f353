//! The last deltas, kept for followers that were away for a while.

use prost::Message as _;
use proto::config as wire;
use redb::{ReadableTable as _, WriteTransaction};

use super::{Counts, DELTAS, Reader, Replica, ReplicaError};

/// Deltas kept at most. One that lacks more takes a snapshot.
const KEPT: u64 = 10_000;

/// Bytes of deltas kept at most, beside the last one (64 MiB).
const KEPT_BYTES: u64 = 64 << 20;

/// Bytes of deltas that are handed out at once.
const BATCH_BYTES: usize = 1 << 20;

/// Adds one and lets go of the oldest beyond the limits.
pub(super) fn keep(
    replica: &Replica,
    write: &WriteTransaction,
    version: u64,
    encoded: &[u8],
    counts: &mut Counts,
) -> Result<(), ReplicaError> {
    let failed = |error: redb::Error| replica.failed("cannot be changed", error);
    let mut table = write.open_table(DELTAS).map_err(|error| failed(error.into()))?;
    table.insert(version, encoded).map_err(|error| failed(error.into()))?;
    counts.delta_bytes += length(encoded);
    loop {
        let first = table.first().map_err(|error| failed(error.into()))?;
        let Some((oldest, bytes)) = first.map(|(key, value)| (key.value(), length(value.value()))) else {
            break;
        };
        let is_kept = version - oldest < KEPT && (counts.delta_bytes <= KEPT_BYTES || oldest == version);
        if is_kept {
            break;
        }
        table.remove(oldest).map_err(|error| failed(error.into()))?;
        counts.delta_bytes = counts.delta_bytes.saturating_sub(bytes);
    }
    Ok(())
}

/// Lets go of all.
pub(super) fn clear(
    replica: &Replica,
    write: &WriteTransaction,
    counts: &mut Counts,
) -> Result<(), ReplicaError> {
    let failed = |error: redb::Error| replica.failed("cannot be changed", error);
    write.delete_table(DELTAS).map_err(|error| failed(error.into()))?;
    write.open_table(DELTAS).map_err(|error| failed(error.into()))?;
    counts.delta_bytes = 0;
    Ok(())
}

impl Reader<'_> {
    /// The deltas that follow a version, up to about a mebibyte of them; `None` if the next one is not kept any more, empty if there
    /// is none yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn deltas_after(&self, version: u64) -> Result<Option<Vec<wire::Delta>>, ReplicaError> {
        let failed = |error: redb::Error| self.replica.failed("cannot be read", error);
        let table = self.transaction.open_table(DELTAS).map_err(|error| failed(error.into()))?;
        let (mut deltas, mut bytes) = (Vec::new(), 0);
        for entry in table.range(version + 1..).map_err(|error| failed(error.into()))? {
            let (key, value) = entry.map_err(|error| failed(error.into()))?;
            let expected = version + 1 + length(&deltas);
            let Some(delta) = wire::Delta::decode(value.value()).ok().filter(|_| key.value() == expected)
            else {
                return Ok(None);
            };
            bytes += value.value().len();
            deltas.push(delta);
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        let is_complete = !deltas.is_empty() || self.position()?.version <= version;
        Ok(is_complete.then_some(deltas))
    }
}

fn length<T>(slice: &[T]) -> u64 {
    u64::try_from(slice.len()).unwrap_or(u64::MAX)
}
