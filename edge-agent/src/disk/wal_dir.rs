//! The WAL as a whole: its files in order, the one being written, and what may be deleted.
//!
//! In: blocks from the committer. Out: any block by number, for processing and the raw lane. Recovery reads the files in
//! order; a gap in block numbers or positions between or within them is an error that names the file, never an empty
//! WAL. A file is deleted whole, and never the last one: it knows where the WAL goes on. Files that were rolled are
//! closed soon: after a crash only the last one is walked through, and the others are asked for their first and last block.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hit::BlockHeader;

use super::Owner;
use super::wal_file::{self, FileError, Start, WalFile};

/// Files that stay open for reading beside the one being written.
const OPEN_FILES: usize = 3;

/// Why the WAL cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    /// One file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory.
    #[error("WAL directory {path:?}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file does not go on where the one before ends.
    #[error(
        "WAL file {path:?} begins at block {found_block}, position {found_position}, but the one before it ends at \
         block {block}, position {position}: a file is missing or from elsewhere"
    )]
    Gap {
        /// The file.
        path: PathBuf,
        /// Where it should begin.
        block: u64,
        /// Where it should begin.
        position: u64,
        /// Where it begins.
        found_block: u64,
        /// Where it begins.
        found_position: u64,
    },
    /// Processing has not seen blocks that are gone, or has seen blocks that never were.
    #[error("the WAL in {path:?} holds the blocks {first} to {end}, but block {wanted} is needed")]
    Lacks {
        /// The directory.
        path: PathBuf,
        /// First block held.
        first: u64,
        /// First block not held.
        end: u64,
        /// The block asked for.
        wanted: u64,
    },
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    disk_bytes: u64,
    open: Option<Arc<WalFile>>,
}

/// All WAL files of a data directory.
#[derive(Debug)]
pub(crate) struct WalDir {
    root: PathBuf,
    owner: Owner,
    cache_bytes: usize,
    /// By first block; never empty after opening. The last one is open for writing.
    files: Mutex<BTreeMap<u64, Entry>>,
    /// Where the WAL went on when it was opened.
    end: Start,
}

impl WalDir {
    /// Opens the files in `root`, makes the first one if there is none, and checks that they follow each other.
    pub(crate) fn open(root: &Path, owner: Owner, cache_bytes: usize) -> Result<Self, WalError> {
        let mut paths = list(root)?;
        let last = paths.pop_last();
        let mut files = BTreeMap::new();
        let mut before: Option<Start> = None;
        for (block, path) in paths {
            let file = WalFile::open_read_only(&path, cache_bytes)?;
            before = Some(follow(&file, &owner, before)?);
            files.insert(block, Entry { disk_bytes: file.disk_bytes(), path, open: None });
        }
        let (block, file, end) = match last {
            Some((block, path)) => {
                let file = WalFile::open_writable(&path, cache_bytes)?;
                let end = follow(&file, &owner, before)?;
                (block, file, end)
            }
            None => {
                let start = Start { block: 0, position: 0, received_at_ms: 0 };
                (0, WalFile::create(root, start, &owner, cache_bytes)?, start)
            }
        };
        files.insert(block, Entry::open(file));
        Ok(Self { root: root.to_owned(), owner, cache_bytes, files: Mutex::new(files), end })
    }

    /// Where the WAL goes on, as found at opening.
    pub(crate) fn end(&self) -> Start {
        self.end
    }

    /// Checks that every block from `block` on is held.
    pub(crate) fn expect_from(&self, block: u64) -> Result<(), WalError> {
        let first = self.lock().keys().next().copied().unwrap_or(0);
        if (first..=self.end.block).contains(&block) {
            return Ok(());
        }
        Err(WalError::Lacks { path: self.root.clone(), first, end: self.end.block, wanted: block })
    }

    /// The file to append to.
    pub(crate) fn active(&self) -> Result<Arc<WalFile>, WalError> {
        let mut files = self.lock();
        let last = files.last_entry().and_then(|entry| entry.get().open.clone());
        last.ok_or_else(|| WalError::Lacks { path: self.root.clone(), first: 0, end: 0, wanted: 0 })
    }

    /// Closes the file being written and begins the next one at `start`; its name is durable when this returns.
    pub(crate) fn roll(&self, start: Start) -> Result<Arc<WalFile>, WalError> {
        let file = WalFile::create(&self.root, start, &self.owner, self.cache_bytes)?;
        let entry = Entry::open(file);
        let opened = entry.open.clone();
        let mut files = self.lock();
        if let Some(mut last) = files.last_entry() {
            last.get_mut().refresh();
        }
        close_idle(&mut files, u64::MAX, None);
        files.insert(start.block, entry);
        drop(files);
        opened.map_or_else(|| self.active(), Ok)
    }

    /// A block by number.
    pub(crate) fn read(&self, block: u64) -> Result<(BlockHeader, Bytes), WalError> {
        let file = self.file_of(block)?;
        Ok(file.read(block)?)
    }

    /// Deletes the files that hold only blocks below `block`; gives how many.
    pub(crate) fn delete_below(&self, block: u64) -> Result<usize, WalError> {
        let mut doomed = Vec::new();
        let mut files = self.lock();
        let starts: Vec<u64> = files.keys().copied().collect();
        for pair in starts.windows(2) {
            if let [first, next] = pair
                && *next <= block
                && let Some(entry) = files.remove(first)
            {
                doomed.push(entry.path);
            }
        }
        drop(files);
        let directory = |source| WalError::Directory { path: self.root.clone(), source };
        for path in &doomed {
            std::fs::remove_file(path).map_err(directory)?;
            // Each for itself, the oldest first: a loss of power may otherwise bring back an older file and not the next,
            // and a WAL with a gap is refused.
            durable::sync_dir(&self.root).map_err(directory)?;
        }
        Ok(doomed.len())
    }

    /// Bytes of all files on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let mut files = self.lock();
        close_rolled(&mut files);
        if let Some(mut last) = files.last_entry() {
            last.get_mut().refresh();
        }
        files.values().map(|entry| entry.disk_bytes).sum()
    }

    fn file_of(&self, block: u64) -> Result<Arc<WalFile>, WalError> {
        let mut files = self.lock();
        let last = files.keys().next_back().copied();
        let Some((first, entry)) = files.range_mut(..=block).next_back() else {
            let first = files.keys().next().copied().unwrap_or(0);
            return Err(WalError::Lacks { path: self.root.clone(), first, end: u64::MAX, wanted: block });
        };
        if let Some(open) = &entry.open {
            return Ok(open.clone());
        }
        let first = *first;
        let opened = Arc::new(WalFile::open_read_only(&entry.path, self.cache_bytes)?);
        entry.open = Some(opened.clone());
        close_idle(&mut files, first, last);
        Ok(opened)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn open(file: WalFile) -> Self {
        Self { path: file.path().to_owned(), disk_bytes: file.disk_bytes(), open: Some(Arc::new(file)) }
    }

    fn refresh(&mut self) {
        if let Some(file) = &self.open {
            self.disk_bytes = file.disk_bytes();
        }
    }
}

/// Closes open files that nobody reads, oldest first, until few are left; never the one just opened or the last.
fn close_idle(files: &mut BTreeMap<u64, Entry>, keep: u64, last: Option<u64>) {
    let mut open = files.values().filter(|entry| entry.open.is_some()).count();
    for (first, entry) in files.iter_mut() {
        let idle = entry.open.as_ref().is_some_and(|file| Arc::strong_count(file) == 1);
        if open > OPEN_FILES && idle && *first != keep && Some(*first) != last {
            entry.refresh();
            entry.open = None;
            open -= 1;
        }
    }
}

/// Closes the files that were rolled, for reading them opens them again: one that is open when the process dies has to be
/// repaired by the next.
fn close_rolled(files: &mut BTreeMap<u64, Entry>) {
    for entry in files.values_mut().rev().skip(1) {
        let is_idle = |file: &Arc<WalFile>| file.is_writable() && Arc::strong_count(file) == 1;
        if entry.open.take_if(|file| is_idle(file)).is_some() {
            entry.disk_bytes = super::allocated_bytes(&entry.path);
        }
    }
}

fn list(root: &Path) -> Result<BTreeMap<u64, PathBuf>, WalError> {
    let directory = |source| WalError::Directory { path: root.to_owned(), source };
    let mut paths = BTreeMap::new();
    for entry in std::fs::read_dir(root).map_err(directory)? {
        let path = entry.map_err(directory)?.path();
        if let Some(block) = wal_file::first_block(&path) {
            paths.insert(block, path);
        }
    }
    Ok(paths)
}

/// Checks that `file` goes on at `before`, and gives where it ends.
fn follow(file: &WalFile, owner: &Owner, before: Option<Start>) -> Result<Start, WalError> {
    let extent = file.extent(owner)?;
    match before {
        Some(before) if (before.block, before.position) != (extent.start.block, extent.start.position) => {
            Err(WalError::Gap {
                path: file.path().to_owned(),
                block: before.block,
                position: before.position,
                found_block: extent.start.block,
                found_position: extent.start.position,
            })
        }
        _ => Ok(extent.end),
    }
}

#[cfg(test)]
mod tests;
