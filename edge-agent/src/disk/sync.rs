//! Making names durable: a file's bytes are synced by its own fsync, its name only by that of its directory.

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs the entries of a directory.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory, with those above it that are missing, and syncs their names. The name of one that was there is synced
/// too: the process that made it may have died before.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing = path.ancestors().take_while(|ancestor| !ancestor.is_dir()).count();
    std::fs::create_dir_all(&path)?;
    for parent in path.ancestors().skip(1).take(missing.max(1)) {
        match directory(parent) {
            // Who may not read the directory above did not make this one.
            Err(error) if missing == 0 && error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

/// Renames `from` to `to` in the same directory and syncs the entry.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => directory(parent),
        None => Ok(()),
    }
}
