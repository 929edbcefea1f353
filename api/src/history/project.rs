//! Entries of the log as deltas: of all records, and of those that edges get.

use configuration::stored::{StoredError, for_edges, is_for_edges};
use configuration::{Position, Replica, SCHEMA};
use proto::config::{Delta, LogEntry, Record, Write};

use super::draft::checksum_after;

/// All records.
pub(super) fn whole(entry: &LogEntry) -> Delta {
    let writes = entry.changes.iter().flat_map(|change| &change.writes);
    let record = |write: &Write| Record { key: write.key.clone(), value: write.after.clone() };
    Delta { position: entry.position.clone(), records: writes.map(record).collect(), schema: entry.schema }
}

/// Those that edges get, on top of what `copy` has.
pub(super) fn to_edges(entry: &LogEntry, copy: &Replica) -> Result<Delta, StoredError> {
    let mut writes = Vec::new();
    for write in
        entry.changes.iter().flat_map(|change| &change.writes).filter(|write| is_for_edges(&write.key))
    {
        let seen = |value: &Option<Vec<u8>>| match value {
            Some(value) => for_edges(&write.key, value),
            None => Ok(None),
        };
        let (before, after) = (seen(&write.before)?, seen(&write.after)?);
        if before != after {
            writes.push(Write { key: write.key.clone(), before, after });
        }
    }
    let at = copy.position();
    let of_entry = entry.position.clone().unwrap_or_default();
    let position = Position {
        history: of_entry.history.as_slice().try_into().unwrap_or(at.history),
        generation: of_entry.generation,
        version: of_entry.version,
        checksum: checksum_after(at.checksum, &writes),
    };
    let records = writes.into_iter().map(|write| Record { key: write.key, value: write.after }).collect();
    Ok(Delta { position: Some(position.into()), records, schema: SCHEMA })
}
