//! Reads a directory of property files, and later only those that changed.
//!
//! In: the directory and what was known of it. Out: what is known now. A file counts as changed when its time of
//! modification, size or inode did. Files that are not `p_*.json` are not ours and left alone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{Property, is_property_id};

/// Largest property file, bytes; a bigger one is not ours.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Why a property file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("property file {}: {problem}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with field and value.
    pub problem: String,
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size_bytes: u64,
    inode: u64,
}

#[derive(Debug, Clone)]
struct File {
    stamp: Stamp,
    /// The last good version; `None` when there never was one.
    property: Option<Arc<Property>>,
    broken: bool,
}

/// What is known of the directory.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: HashMap<OsString, File>,
}

/// What a look at the directory found.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) any: bool,
    pub(crate) errors: Vec<FileError>,
    /// All files went at once, which nobody does on purpose: what was known stays.
    pub(crate) emptied: bool,
}

impl Files {
    /// Looks again. An error means that nothing was learnt and nothing changed.
    pub(crate) fn refresh(&mut self, dir: &Path) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let mut now = HashMap::with_capacity(self.files.len());
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_property_file(&name) {
                continue;
            }
            let known = self.files.get(&name);
            match stamp(&entry.path()) {
                Ok(stamp) => {
                    let file = match known {
                        Some(file) if file.stamp == stamp => file.clone(),
                        _ => changed(&entry.path(), stamp, known, &mut changes),
                    };
                    now.insert(name, file);
                }
                // Gone between the listing and the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if now.is_empty() && !self.files.is_empty() {
            return Ok(Changes { emptied: true, ..Changes::default() });
        }
        changes.any |= self.files.keys().any(|name| !now.contains_key(name));
        self.files = now;
        Ok(changes)
    }

    pub(crate) fn properties(&self) -> impl Iterator<Item = Arc<Property>> {
        self.files.values().filter_map(|file| file.property.clone())
    }

    pub(crate) fn broken(&self) -> usize {
        self.files.values().filter(|file| file.broken).count()
    }
}

fn is_property_file(name: &OsString) -> bool {
    name.to_str().and_then(|name| name.strip_suffix(".json")).is_some_and(is_property_id)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::metadata(path)?;
    Ok(Stamp {
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        size_bytes: metadata.len(),
        inode: metadata.ino(),
    })
}

fn changed(path: &Path, stamp: Stamp, known: Option<&File>, changes: &mut Changes) -> File {
    changes.any = true;
    match read(path) {
        Ok(property) => File { stamp, property: Some(Arc::new(property)), broken: false },
        Err(error) => {
            changes.errors.push(error);
            File { stamp, property: known.and_then(|file| file.property.clone()), broken: true }
        }
    }
}

/// Reads and checks one file.
fn read(path: &Path) -> Result<Property, FileError> {
    let failed = |problem: String| FileError { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX_BYTES {
        return Err(failed(format!("larger than {FILE_MAX_BYTES} bytes")));
    }
    let property: Property = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    property.check().map_err(failed)?;
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(property.property_id.as_str()) {
        return Err(failed(format!(
            "property_id is {:?}, which is not the file's name",
            property.property_id
        )));
    }
    Ok(property)
}
