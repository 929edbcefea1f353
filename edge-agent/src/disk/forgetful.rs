//! A disk that keeps what was synced; of the rest a loss of power leaves some writes, whole, in part, or not at all.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// The disk, under redb.
#[derive(Debug, Default, Clone)]
pub(super) struct ForgetfulDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    written: Vec<u8>,
    kept: Kept,
    syncs: u64,
    operations: u64,
    /// The power goes after so many writes and syncs; what the disk had then is in `at_cut`.
    cut_at: Option<u64>,
    at_cut: Option<Kept>,
    ignores_syncs: bool,
}

/// What was synced, and the writes since, in their order.
#[derive(Debug, Default, Clone)]
struct Kept {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

type BackendResult<T> = std::io::Result<T>;

fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let offset = usize::try_from(offset).unwrap();
    offset..offset + length
}

impl Contents {
    fn count_operation(&mut self) {
        if self.cut_at == Some(self.operations) {
            self.at_cut = Some(self.kept.clone());
        }
        self.operations += 1;
    }
}

impl StorageBackend for ForgetfulDisk {
    fn len(&self) -> BackendResult<u64> {
        Ok(self.0.lock().unwrap().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> BackendResult<()> {
        out.copy_from_slice(&self.0.lock().unwrap().written[range(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count_operation();
        let len = usize::try_from(len).unwrap();
        contents.written.resize(len, 0);
        contents.kept.since.push(Change::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count_operation();
        contents.syncs += 1;
        if !contents.ignores_syncs {
            contents.kept.synced = contents.written.clone();
            contents.kept.since.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count_operation();
        let at = range(offset, data.len());
        contents.kept.since.push(Change::Write(at.start, data.to_vec()));
        contents.written[at].copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(
        &self,
        _start: std::ops::Bound<u64>,
        _end: std::ops::Bound<u64>,
    ) -> Result<bool, redb::BackendError> {
        Ok(true)
    }

    fn unlock_range(
        &self,
        _start: std::ops::Bound<u64>,
        _end: std::ops::Bound<u64>,
    ) -> Result<(), redb::BackendError> {
        Ok(())
    }
}

impl ForgetfulDisk {
    /// The power goes after `cut_at` writes and syncs from now; work goes on as if nothing had happened, and [`Self::after_the_cut`] tells what was left.
    pub(super) fn cut_at(&self, cut_at: u64) {
        let mut contents = self.0.lock().unwrap();
        contents.cut_at = Some(contents.operations + cut_at);
    }

    /// From now on syncs do nothing.
    pub(super) fn ignore_syncs(&self) {
        self.0.lock().unwrap().ignores_syncs = true;
    }

    /// Whether the power has gone.
    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().unwrap().at_cut.is_some()
    }

    /// How often it was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    /// Writes and syncs so far.
    pub(super) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// The same disk when the power goes now: all that was not synced is gone.
    pub(super) fn after_power_loss(&self) -> Self {
        let synced = self.0.lock().unwrap().kept.synced.clone();
        Self::holding(synced)
    }

    /// The disk after the cut: of the writes since the last sync any may be there, whole or up to a sector, whatever
    /// their order was.
    pub(super) fn after_the_cut(&self, random: &mut StdRng) -> Self {
        let kept = self.0.lock().unwrap().at_cut.clone().expect("the power went");
        let mut survived = kept.synced;
        for change in kept.since {
            match (change, random.random_range(0..3)) {
                (_, 0) => {}
                (Change::Length(length), _) => survived.resize(length, 0),
                (Change::Write(at, data), fate) => {
                    let sectors = data.len() / SECTOR;
                    let length =
                        if fate == 1 { data.len() } else { SECTOR * random.random_range(0..=sectors) };
                    if survived.len() < at + length {
                        survived.resize(at + length, 0);
                    }
                    survived[at..at + length].copy_from_slice(&data[..length]);
                }
            }
        }
        Self::holding(survived)
    }

    fn holding(bytes: Vec<u8>) -> Self {
        let kept = Kept { synced: bytes.clone(), since: Vec::new() };
        Self(Arc::new(Mutex::new(Contents { written: bytes, kept, ..Contents::default() })))
    }
}

/// A generator for one case.
pub(super) fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
