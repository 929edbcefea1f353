//! Files that are read again when they change: location databases, lists of networks.
//!
//! In: paths. Out: what was last read of each, held by a request for as long as it lasts. Whether a file changed is told by its inode, length
//! and time of change; looking and reading are for a blocking thread, readers never wait for the disk. A file and the one in its place are in
//! memory together for a moment. A file is read once it has stood still from one look to the next. Invariant: a file that cannot be read leaves in force what was read before.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;

/// What a file is read into.
pub(crate) trait FromFile: Sized {
    /// The setting that names the file.
    const SETTING: &'static str;

    /// Reads it, on the disk. The error ends a sentence that begins with the path.
    fn read(path: &Path) -> Result<Self, String>;
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{setting} = {path:?} {reason}")]
pub(crate) struct FileError {
    setting: &'static str,
    path: PathBuf,
    reason: String,
}

/// What tells one content of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// At the last look; `None`: the file was not there.
    seen: Option<Stamp>,
    /// Of the last reading, whether or not it went well.
    read: Option<Stamp>,
}

/// Files of one kind, in the order of the setting.
#[derive(Debug)]
pub(crate) struct Followed<T> {
    files: Mutex<Vec<File>>,
    held: RwLock<Arc<[Arc<T>]>>,
}

impl<T: FromFile> Followed<T> {
    /// Reads all of them; each must be good. Blocks on the disk.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, FileError> {
        let (mut files, mut held) = (Vec::new(), Vec::new());
        for path in paths {
            let stamp = stamp_of(path);
            let failed = |reason| FileError { setting: T::SETTING, path: path.clone(), reason };
            held.push(Arc::new(T::read(path).map_err(failed)?));
            files.push(File { path: path.clone(), seen: stamp, read: stamp });
        }
        Ok(Self { files: Mutex::new(files), held: RwLock::new(held.into()) })
    }

    /// What was last read, in the order of the setting.
    pub(crate) fn held(&self) -> Arc<[Arc<T>]> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads again what changed; whether anything new is in force. Blocks on the disk. What cannot be read is logged and counted once for
    /// each change.
    pub(crate) fn refresh(&self, failures: &Counter) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut next, mut is_new) = (self.held().to_vec(), false);
        for (file, value) in files.iter_mut().zip(&mut next) {
            let stamp = stamp_of(&file.path);
            // Somebody may still be writing it: it has to stand still from one look to the next.
            let stood_still = stamp == file.seen;
            file.seen = stamp;
            if !stood_still || stamp == file.read {
                continue;
            }
            file.read = stamp;
            let path = file.path.display();
            match T::read(&file.path) {
                Ok(read) => {
                    *value = Arc::new(read);
                    is_new = true;
                    tracing::info!(%path, "{} was read again", T::SETTING);
                }
                Err(reason) => {
                    failures.inc();
                    tracing::warn!(%path, %reason, "{} cannot be read again; the last good content stays in force", T::SETTING);
                }
            }
        }
        if is_new {
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = next.into();
        }
        is_new
    }
}

/// Taken before a reading: what changes during it is read at the next look.
fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        bytes: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Text(String);

    impl FromFile for Text {
        const SETTING: &'static str = "text";

        fn read(path: &Path) -> Result<Self, String> {
            let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
            if text.is_empty() { Err("is empty".into()) } else { Ok(Self(text)) }
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().join("a"), directory.path().join("b")];
        paths.iter().for_each(|path| std::fs::write(path, "1").unwrap());
        let followed = Followed::<Text>::open(&paths).unwrap();
        let failures = Counter::default();
        let refresh = || followed.refresh(&failures);
        let texts = || followed.held().iter().map(|text| text.0.clone()).collect::<String>();
        assert!(!refresh());

        let next = directory.path().join("next");
        std::fs::write(&next, "2").unwrap();
        std::fs::rename(&next, &paths[1]).unwrap();
        assert_eq!([refresh(), refresh(), refresh()], [false, true, false]);
        assert_eq!((texts().as_str(), failures.get()), ("12", 0));

        std::fs::write(&paths[0], "").unwrap();
        assert_eq!([refresh(), refresh(), refresh()], [false; 3]);
        assert_eq!((texts().as_str(), failures.get()), ("12", 1));
        std::fs::remove_file(&paths[0]).unwrap();
        assert_eq!([refresh(), refresh(), refresh()], [false; 3]);
        assert_eq!((texts().as_str(), failures.get()), ("12", 2));

        std::fs::write(&paths[0], "3").unwrap();
        assert!(!refresh());
        std::fs::write(&paths[0], "345").unwrap();
        assert_eq!([refresh(), refresh()], [false, true], "it is not read while somebody writes it");
        assert_eq!((texts().as_str(), failures.get()), ("3452", 2));
    }

    #[test]
    fn a_file_that_is_not_good_at_the_start_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let refused = || Followed::<Text>::open(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert!(refused().starts_with("text = ") && refused().contains("cannot be read: "), "{}", refused());
        std::fs::write(&path, "").unwrap();
        assert!(refused().ends_with("/x\" is empty"), "{}", refused());
    }
}
