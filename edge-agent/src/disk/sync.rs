//! Making names durable: a file's bytes are synced by its own fsync, its name only by that of its directory.

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs the entries of a directory.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames `from` to `to` in the same directory and syncs the entry.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => directory(parent),
        None => Ok(()),
    }
}
