//! One process per data directory.
//!
//! An advisory lock on `data_dir/lock`, held while the process lives; the kernel gives it back when the process dies, however it
//! dies. A restarted parent may start us while our predecessor is still ending: we wait for it, up to a limit.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks at a lock that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// The file system refused.
    #[error("cannot use data_dir {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Another process has it.
    #[error("data_dir {} is held by another embedded-clickhouse: stop that one, or choose another data_dir", .0.display())]
    Held(PathBuf),
}

/// Takes the directory, which is made if missing; the file keeps it.
pub(crate) async fn take(data_dir: &Path, wait: Duration) -> Result<File, LockError> {
    let failed = |source| LockError::Io { path: data_dir.to_owned(), source };
    durable::create_dir_all(data_dir).map_err(failed)?;
    let file = File::create(data_dir.join("lock")).map_err(failed)?;
    let deadline = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(LockError::Held(data_dir.to_owned()));
            }
            Err(TryLockError::WouldBlock) => sleep(LOOK_AGAIN).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn second_taker_is_refused_until_the_first_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path(), Duration::ZERO).await.unwrap();
        assert!(matches!(take(directory.path(), Duration::ZERO).await, Err(LockError::Held(_))));
        drop(first);
        take(directory.path(), Duration::ZERO).await.unwrap();
    }
}
