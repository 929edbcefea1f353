//! A disk under redb that keeps what was synced; what a loss of power leaves of the rest is drawn from a seed.

use std::sync::{Arc, Mutex};

use power_loss::ForgetfulFile;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, StorageBackend, StorageError};

use super::medium::Medium;

/// The disk, under redb.
#[derive(Debug, Default, Clone)]
pub(super) struct ForgetfulDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    written: Vec<u8>,
    disk: ForgetfulFile,
    operations: u64,
    /// Syncs since the step began.
    syncs: usize,
    /// The how many-eth sync of each step does nothing.
    without: Option<usize>,
    /// The power goes after so many writes and syncs; what the disk had then is in `at_cut`.
    cut_at: Option<u64>,
    at_cut: Option<ForgetfulFile>,
}

type BackendResult<T> = std::io::Result<T>;

fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let offset = usize::try_from(offset).unwrap();
    offset..offset + length
}

impl Contents {
    fn count_operation(&mut self) {
        if self.cut_at == Some(self.operations) {
            self.at_cut = Some(self.disk.clone());
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
        contents.written.resize(usize::try_from(len).unwrap(), 0);
        contents.disk.set_length(len);
        Ok(())
    }

    fn sync_data(&self) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count_operation();
        contents.syncs += 1;
        if contents.without != Some(contents.syncs) {
            contents.disk.sync();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count_operation();
        contents.disk.write(offset, data);
        contents.written[range(offset, data.len())].copy_from_slice(data);
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

impl Medium for ForgetfulDisk {
    fn create(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }

    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        // As redb does for files: what is empty was never a database.
        if self.0.lock().unwrap().written.is_empty() {
            return Err(StorageError::Io(std::io::Error::other("the disk is empty")).into());
        }
        builder.create_with_backend(self.clone())
    }

    fn open_read_only(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError> {
        builder.open_read_only_with_backend(self.clone())
    }
}

impl ForgetfulDisk {
    /// The power goes after `cut_at` writes and syncs from now; work goes on as if nothing had happened, and
    /// [`Self::after_the_cut`] tells what was left.
    pub(super) fn cut_at(&self, cut_at: u64) {
        let mut contents = self.0.lock().unwrap();
        contents.cut_at = Some(contents.operations + cut_at);
    }

    /// From now on the how many-eth sync of each step does nothing.
    pub(super) fn leave_out(&self, sync: Option<usize>) {
        self.0.lock().unwrap().without = sync;
    }

    /// Syncs are counted from 1 again.
    pub(super) fn begin_step(&self) {
        self.0.lock().unwrap().syncs = 0;
    }

    /// Syncs since the step began.
    pub(super) fn syncs(&self) -> usize {
        self.0.lock().unwrap().syncs
    }

    /// Whether the power has gone.
    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().unwrap().at_cut.is_some()
    }

    /// Writes and syncs so far.
    pub(super) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// The same disk when the power goes now: all that was not synced is gone.
    pub(super) fn after_power_loss(&self) -> Self {
        Self::holding(self.0.lock().unwrap().disk.synced().to_vec())
    }

    /// One of the disks that the cut may have left.
    pub(super) fn after_the_cut(&self, seed: u64) -> Self {
        Self::holding(self.0.lock().unwrap().at_cut.as_ref().expect("the power went").survivor(seed))
    }

    fn holding(bytes: Vec<u8>) -> Self {
        let disk = ForgetfulFile::holding(bytes.clone());
        Self(Arc::new(Mutex::new(Contents { written: bytes, disk, ..Contents::default() })))
    }
}

/// Where the power goes in the case of a seed: the first ones at each write and sync once, the others anywhere.
pub(super) fn cut_of(seed: u64, operations: u64) -> u64 {
    if seed < operations { seed } else { seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) % operations }
}
