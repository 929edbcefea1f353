//! What survives a loss of power: everything whose append returned, whatever the disk had not been told to keep.

use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;
use crate::fixture::{after, block, edge};

/// A disk that keeps what was synced, and forgets the rest when the power goes.
#[derive(Debug, Default, Clone)]
struct ForgetfulDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    written: Vec<u8>,
    synced: Vec<u8>,
    syncs: u64,
}

type BackendResult<T> = std::io::Result<T>;

fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let offset = usize::try_from(offset).unwrap();
    offset..offset + length
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
        self.0.lock().unwrap().written.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> BackendResult<()> {
        let mut contents = self.0.lock().unwrap();
        contents.synced = contents.written.clone();
        contents.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> BackendResult<()> {
        self.0.lock().unwrap().written[range(offset, data.len())].copy_from_slice(data);
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
    /// The same disk after the power came back.
    fn after_power_loss(&self) -> Self {
        let synced = self.0.lock().unwrap().synced.clone();
        Self(Arc::new(Mutex::new(Contents { written: synced.clone(), synced, syncs: 0 })))
    }

    fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    fn file(&self) -> WalFile {
        let database = Builder::new().set_cache_size(1 << 20).create_with_backend(self.clone()).unwrap();
        WalFile { path: PathBuf::from(file_name(0)), handle: Handle::Writable(database) }
    }
}

#[test]
fn appended_blocks_survive_a_loss_of_power_after_each() {
    let owner = Owner { edge: edge(), epoch: hit::Epoch([3; 16]) };
    let disk = ForgetfulDisk::default();
    let file = disk.file();
    let mut next = Start { block: 0, position: 0, received_at_ms: 0 };
    let Handle::Writable(database) = &file.handle else { unreachable!() };
    write_meta(database, next, &owner).unwrap();
    for n in 0..40 {
        let syncs = disk.syncs();
        file.append(next.block, &block(next, Some(n))).unwrap();
        assert!(disk.syncs() > syncs, "append {n} returned without a sync");
        next = after(next, 1);
        let survivor = disk.after_power_loss().file();
        assert_eq!(survivor.extent(&owner).unwrap().end, next);
        for block in 0..=n {
            assert_eq!(survivor.read(block).unwrap().0.block, block);
        }
    }
}
