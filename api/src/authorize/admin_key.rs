//! The admin key's file: read, or made with a random key when it is missing.
//!
//! In: a path. Out: the hash of the key, which is durable under its name from then on. A crash leaves no half a key, and two starts agree on
//! one.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use property::KeyHash;

/// Shortest admin key taken from a file, characters: a shorter one was not made by us and may be guessed.
const ADMIN_KEY_MIN_CHARS: usize = 16;

/// Why there is no admin key.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make admin_key_file = {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds no key.
    #[error(
        "admin_key_file = {0:?} holds fewer than {ADMIN_KEY_MIN_CHARS} characters; delete it to get a new random key"
    )]
    TooShort(PathBuf),
}

/// The hash of the key in this file, which is made with a random key if it is missing.
pub fn admin_key(path: &Path) -> Result<KeyHash, AdminKeyError> {
    let failed = |source| AdminKeyError::File { path: path.to_owned(), source };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_admin_key(path).map_err(failed)?;
            std::fs::read_to_string(path).map_err(failed)?
        }
        read => read.map_err(failed)?,
    };
    // Whoever made it, perhaps a run that was killed before its own sync: from now on the key is in use.
    durable::sync_name(path).map_err(failed)?;
    match text.trim() {
        short if short.len() < ADMIN_KEY_MIN_CHARS => Err(AdminKeyError::TooShort(path.to_owned())),
        key => Ok(KeyHash::of(key)),
    }
}

/// Written beside its place and linked to its name, so that a crash leaves no half a key and two starts agree on one.
fn make_admin_key(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::create_dir_all(folder)?;
    let key = property::key::random_secret("ak_").map_err(io::Error::other)?;
    let suffix = property::key::random_secret(".").map_err(io::Error::other)?;
    let temporary = folder.join(suffix);
    write_private(&temporary, format!("{key}\n").as_bytes())?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    match linked {
        // Another process was faster: its key holds.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A new file for its owner only, durable with its content.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
