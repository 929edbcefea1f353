//! Names that outlive a loss of power.
//!
//! A file's bytes are kept by its own fsync, its name only by that of its directory, and the directory's name by that of
//! the one above. What another process, or one that was killed, made a moment ago is there and yet not durable: so
//! whoever relies on a name syncs it, whether or not he made it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a directory and those above it that are missing (mode 0777 less the umask); all their names are durable.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    create_dir_all_with(path, 0o777)
}

/// As [`create_dir_all`], each with this mode.
///
/// From the top down, each synced before the next is made: so if a directory is there, only its own name can still be
/// in doubt, and not those above it.
pub fn create_dir_all_with(path: &Path, mode: u32) -> io::Result<()> {
    if !path.is_dir() {
        if let Some(parent) = parent(path) {
            create_dir_all_with(parent, mode)?;
        }
        match DirBuilder::new().mode(mode).create(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
    }
    sync_name(path)
}

/// Syncs the entries of a directory.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs the name of something that is there.
///
/// A directory that this process may not read is not one in which it, or an earlier run of it, made anything.
pub fn sync_name(path: &Path) -> io::Result<()> {
    match parent(path).map(sync_dir) {
        None => Ok(()),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Some(synced) => synced,
    }
}

/// Renames `from` to `to` in the same directory; the new name is durable.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    parent(to).map_or(Ok(()), sync_dir)
}

/// The directory of a path; that of a plain name is the current one.
fn parent(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

#[cfg(test)]
mod tests;
