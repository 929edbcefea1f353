//! What the tables take on disk, for the status.
//!
//! Out: a number that a task renews now and then; reading it costs nothing. Files come and go while the directory is walked (merges),
//! so it is a measurement, not an account.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Between two measurements; a walk over ten thousand files takes some tens of milliseconds.
const INTERVAL: Duration = Duration::from_secs(10);

/// `st_blocks` counts in this unit, whatever the file system (stat(2)).
const STAT_BLOCK_BYTES: u64 = 512;

/// The last measurement, in bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreSize(Arc<AtomicU64>);

impl StoreSize {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Measures `directory` until shutdown.
    pub(crate) async fn keep(self, directory: PathBuf, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let walked = directory.clone();
            let bytes = tokio::task::spawn_blocking(move || allocated_bytes(&walked)).await?;
            self.0.store(bytes, Ordering::Relaxed);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}

/// Bytes of the files under `directory`, without following links; what has vanished meanwhile counts nothing.
fn allocated_bytes(directory: &Path) -> u64 {
    let mut bytes = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(entry.path()),
                Ok(metadata) if metadata.is_file() => bytes += metadata.blocks() * STAT_BLOCK_BYTES,
                Ok(_) | Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_levels_are_counted_and_links_are_not() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(allocated_bytes(directory.path()), 0);
        let below = directory.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("one"), vec![1; 100_000]).unwrap();
        let one = allocated_bytes(directory.path());
        assert!(one >= 100_000, "{one}");
        std::os::unix::fs::symlink(&below, directory.path().join("link")).unwrap();
        assert_eq!(allocated_bytes(directory.path()), one);
    }
}
