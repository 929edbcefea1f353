//! A whole version in place of the one in force, piece by piece in one transaction.

use proto::config as wire;
use redb::WriteTransaction;

use super::{ApplyError, Counts, RECORDS, Replica, ReplicaError, State, deltas, offered};
use crate::position::{Checksum, Position};
use crate::refusal::Refused;
use crate::snapshot;

/// A version that is coming in. Dropped, it leaves nothing behind.
pub struct Replacing<'a> {
    replica: &'a Replica,
    write: WriteTransaction,
    announced: Position,
    records: u64,
    state: State,
}

impl Replica {
    /// Begins to take a version in; `None` if the one in force is as new. Holds the file until it ends: nothing else changes it
    /// meanwhile. `known` is what the sender was told of: only a version from before that is refused as older.
    ///
    /// # Errors
    /// When the version is not to be had: empty, older, foreign, of a newer schema.
    pub fn begin(
        &self,
        begin: &wire::SnapshotBegin,
        known: Position,
    ) -> Result<Option<Replacing<'_>>, ApplyError> {
        let announced = offered(begin.position.as_ref(), begin.schema)?;
        let (version, at) = (announced.version, self.position());
        if begin.records == 0 {
            return Err(Refused::Empty { version, records: self.len() }.into());
        }
        if !at.is_nothing() && announced.history != at.history {
            return Err(Refused::OtherHistory { version }.into());
        }
        if announced.order() < known.order() {
            return Err(Refused::Older { version, in_force: at.version }.into());
        }
        if announced.order() <= at.order() {
            return Ok(None);
        }
        let write = self.begin_write()?;
        write.delete_table(RECORDS).map_err(|error| self.failed("cannot be changed", error))?;
        write.open_table(RECORDS).map_err(|error| self.failed("cannot be changed", error))?;
        let position = Position { checksum: Checksum::default(), ..announced };
        let state = State { position, counts: Counts::default() };
        Ok(Some(Replacing { replica: self, write, announced, records: begin.records, state }))
    }
}

impl Replacing<'_> {
    /// Takes a piece in. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn part(&mut self, part: &wire::SnapshotPart) -> Result<(), ApplyError> {
        let version = self.announced.version;
        let records = snapshot::unpack(part).map_err(|problem| Refused::Corrupt { version, problem })?;
        Ok(self.records(&records)?)
    }

    /// Takes records in. Blocks on the disk.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn records(&mut self, records: &[wire::Record]) -> Result<(), ReplicaError> {
        let replica = self.replica;
        let mut table =
            self.write.open_table(RECORDS).map_err(|error| replica.failed("cannot be changed", error))?;
        records.iter().try_for_each(|record| replica.put(&mut table, record, &mut self.state))
    }

    /// All is there: compares and puts in force. Blocks on the disk.
    ///
    /// # Errors
    /// When it is not what was announced.
    pub fn end(mut self) -> Result<(), ApplyError> {
        let (version, found) = (self.announced.version, self.state.position.checksum);
        let problem = if self.state.counts.records != self.records {
            Some(format!("{} records instead of {}", self.state.counts.records, self.records))
        } else if found != self.announced.checksum {
            Some(format!("checksum {found} instead of {}", self.announced.checksum))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Refused::Corrupt { version, problem }.into());
        }
        deltas::clear(self.replica, &self.write, &mut self.state.counts)?;
        self.replica.commit(self.write, self.state, None)
    }
}
