//! The object store that hubs write segments to and loaders keep plans in.
//!
//! In: the `[store]` table of a service. Out: an [`ObjectStore`] whose successful PUT is durable, so that an
//! acknowledgement may follow it.
//!
//! Invariant: no service runs on a store that lets the same object be created twice ([`check_create_if_absent`]):
//! there would be two plans of one number.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use url::Url;

/// The object that [`check_create_if_absent`] creates; it stays, a few bytes for ever.
pub const PROBE_KEY: &str = "probe/create-if-absent";

/// Where services put objects, from the top down; made when a directory is opened.
const FOLDERS: [&str; 17] = [
    "checkpoints",
    "checkpoints/0",
    "config",
    "config/log",
    "config/snapshots",
    "erased",
    "erased/0",
    "erasures",
    "erasures/open",
    "plans",
    "plans/0",
    "probe",
    "quarantine",
    "salts",
    "segments",
    "segments/raw",
    "segments/rollup",
];

/// Folders whose entries are synced whenever a directory is opened. [`LocalFileSystem`] syncs the folders that it makes
/// itself, but not those that another PUT, or a process that was killed, made a moment ago: an object of a PUT that
/// succeeded could be lost with its folder. And a killed process may have created a plan that is there, is going to be
/// carried out, and is not durable.
const SYNCED: [&str; 12] = [
    "",
    "checkpoints",
    "config",
    "config/log",
    "erased",
    "erased/0",
    "erasures",
    "erasures/open",
    "plans",
    "segments",
    "plans/0",
    "salts",
];

/// The `[store]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Where the objects are: `file:///absolute/directory`. The directory is made if it is missing. All hubs and
    /// loaders of a region name the same one.
    pub url: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: "file:///var/lib/meridian/store".into() }
    }
}

impl StoreConfig {
    /// The store in a local directory.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn local(directory: &Path) -> Result<Self, StoreError> {
        let url = Url::from_directory_path(directory).map_err(|()| StoreError::Url {
            url: directory.display().to_string(),
            reason: "the path is not absolute".into(),
        })?;
        Ok(Self { url: url.into() })
    }

    /// Checks the URL without touching the store.
    ///
    /// # Errors
    /// When it is none that this build opens.
    pub fn validate(&self) -> Result<(), String> {
        self.location().map(drop).map_err(|error| error.to_string())
    }

    fn location(&self) -> Result<Location, StoreError> {
        let wrong = |reason: String| StoreError::Url { url: self.url.clone(), reason };
        let url = Url::parse(&self.url).map_err(|error| wrong(error.to_string()))?;
        match url.scheme() {
            "file" => {
                let directory = url.to_file_path().map_err(|()| wrong("it has a host".into()))?;
                Ok(Location::Directory(directory))
            }
            other => Err(wrong(format!("this build does not know the scheme {other:?}"))),
        }
    }
}

/// What a store's URL names; another kind of store is another variant.
enum Location {
    /// A directory of this machine, or one that is mounted.
    Directory(PathBuf),
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is not one of a store.
    #[error("store.url = {url:?} cannot be used: {reason}; use file:///absolute/directory")]
    Url {
        /// As configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory cannot be made or synced.
    #[error("the directory {} of store.url cannot be used: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store did not answer as it should.
    #[error("the object store does not work: {0}")]
    Store(#[from] object_store::Error),
    /// The store created the same object twice.
    #[error(
        "the object store let the object {PROBE_KEY} be created twice, so two loaders could make two plans of one \
         number; use a store that can create an object only if it is absent"
    )]
    CreatesTwice,
}

/// Opens the store. Blocks on the disk for a moment: call it at start.
///
/// # Errors
/// When the URL is wrong or the directory cannot be made.
pub fn open(config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, StoreError> {
    match config.location()? {
        Location::Directory(path) => {
            prepare(&path).map_err(|source| StoreError::Directory { path: path.clone(), source })?;
            // Without fsync a PUT answers before its bytes are on the disk.
            Ok(Arc::new(LocalFileSystem::new_with_prefix(&path)?.with_fsync(true)))
        }
    }
}

fn prepare(root: &Path) -> std::io::Result<()> {
    durable::create_dir_all(root)?;
    for folder in FOLDERS {
        match std::fs::create_dir(root.join(folder)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    SYNCED.iter().try_for_each(|folder| durable::sync_dir(&root.join(folder)))
}

/// Checks that the store refuses to create an object that is there: creates [`PROBE_KEY`], then tries it again.
///
/// # Errors
/// When the second attempt succeeds, or the store fails.
pub async fn check_create_if_absent(store: &dyn ObjectStore) -> Result<(), StoreError> {
    // The first attempt finds the probe of an earlier start, or makes it.
    let _created = create_probe(store).await?;
    if create_probe(store).await? { Err(StoreError::CreatesTwice) } else { Ok(()) }
}

/// Erases what PUTs into a folder left that were cut off: a process that is killed leaves the bytes beside the object, where no listing
/// shows them. Those go whose object's name `is_to_go` says. Blocks on the disk.
///
/// # Errors
/// When the folder cannot be read, or a file in it cannot be erased.
pub fn erase_unfinished(
    config: &StoreConfig,
    folder: &str,
    is_to_go: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    let Location::Directory(root) = config.location()?;
    let path = root.join(folder);
    let failed = |source| StoreError::Directory { path: path.clone(), source };
    for entry in std::fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        // As `LocalFileSystem` calls what it has not renamed yet: `object#1`.
        let object = name.to_str().and_then(|name| name.rsplit_once('#'));
        if !object.is_some_and(|(object, _number)| is_to_go(object)) {
            continue;
        }
        match std::fs::remove_file(entry.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the probe was created; `false` if it was there.
async fn create_probe(store: &dyn ObjectStore) -> Result<bool, StoreError> {
    let payload = PutPayload::from_static(b"meridian\n");
    let options = PutOptions::from(PutMode::Create);
    match store.put_opts(&Key::from(PROBE_KEY), payload, options).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
