//! Reads a directory of property files, and later only those that changed.
//!
//! In: the directory and what was known of it. Out: what is known now. A file counts as changed when its time of
//! modification, size or inode did. Files that are not `p_*.json` are not ours and left alone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{Property, is_property_id};
use crate::snapshot::Snapshot;
use crate::stored::{Id, Rulebooks, Stored, id_of};

/// Largest property file, bytes (4 MiB: some 2,000 versions of usual rules); a bigger one is not ours.
pub(crate) const FILE_MAX_BYTES: u64 = 1 << 22;

/// Looks between two searches for properties that nobody asks for any more: ten minutes, at one a second.
const LOOKS_PER_SEARCH: u64 = 600;

/// Why a property file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("property file {}: {problem}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with field and value.
    pub problem: String,
}

/// What is known of the directory.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The last good version of each file.
    known: Arc<Snapshot>,
    /// Stamps of the files that are broken now.
    broken: HashMap<Id, u64>,
    rulebooks: Rulebooks,
    looks: u64,
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
        let known = Arc::clone(&self.known);
        let mut stays = vec![false; known.len()];
        let (mut fresh, mut broken) = (Vec::new(), HashMap::new());
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Some(id) = id_of_file(&entry.file_name()) else { continue };
            let stamp = match stamp(&entry.path()) {
                Ok(stamp) => stamp,
                // Gone between the listing and the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let (place, good) = known.stored(&id).unzip();
            let was_broken = self.broken.get(&id).copied();
            let is_known = match was_broken {
                None => good.is_some_and(|good| good.stamp() == stamp),
                Some(before) => before == stamp,
            };
            let error = if is_known { None } else { self.changed(&entry.path(), stamp, &mut fresh).err() };
            if (is_known && was_broken.is_some()) || error.is_some() {
                broken.insert(id, stamp);
            }
            let keeps_good = is_known || error.is_some();
            if let Some(stays) = place.and_then(|place| stays.get_mut(place)) {
                *stays = keeps_good;
            }
            changes.errors.extend(error);
        }
        if fresh.is_empty() && broken.is_empty() && !stays.contains(&true) && self.knew_files() {
            return Ok(Changes { emptied: true, ..Changes::default() });
        }
        self.broken = broken;
        self.let_go_of_idle(&mut stays, &mut fresh);
        changes.any = !fresh.is_empty() || stays.contains(&false);
        if changes.any {
            let stay = known.all().iter().zip(&stays).filter_map(|(stored, stays)| stays.then_some(stored));
            fresh.extend(stay.cloned());
            self.known = Arc::new(Snapshot::of(fresh));
        }
        Ok(changes)
    }

    /// The last good versions.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.known)
    }

    pub(crate) fn broken(&self) -> usize {
        self.broken.len()
    }

    fn knew_files(&self) -> bool {
        !self.known.is_empty() || !self.broken.is_empty()
    }

    fn changed(&mut self, path: &Path, stamp: u64, fresh: &mut Vec<Arc<Stored>>) -> Result<(), FileError> {
        let property = read(path)?;
        let stored = Stored::new(&property, stamp, &mut self.rulebooks).ok_or_else(|| FileError {
            path: path.to_owned(),
            problem: "an id or the currency has not its length".to_owned(),
        })?;
        fresh.push(Arc::new(stored));
        Ok(())
    }

    fn let_go_of_idle(&mut self, stays: &mut [bool], fresh: &mut Vec<Arc<Stored>>) {
        self.looks += 1;
        if !self.looks.is_multiple_of(LOOKS_PER_SEARCH) {
            return;
        }
        for (stored, stays) in self.known.all().iter().zip(stays) {
            if *stays && let Some(idle) = stored.without_traffic() {
                fresh.push(Arc::new(idle));
                *stays = false;
            }
        }
    }
}

fn id_of_file(name: &OsStr) -> Option<Id> {
    name.to_str()?.strip_suffix(".json").filter(|stem| is_property_id(stem)).and_then(id_of)
}

/// Tells one content of a file from another without reading it.
fn stamp(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    let mut hasher = DefaultHasher::new();
    (metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()).hash(&mut hasher);
    Ok(hasher.finish())
}

/// Reads and checks one file.
pub(crate) fn read(path: &Path) -> Result<Property, FileError> {
    let failed = |problem: String| FileError { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX_BYTES {
        return Err(failed(format!("larger than {FILE_MAX_BYTES} bytes")));
    }
    let mut property: Property =
        serde_json::from_slice(&bytes).map_err(|error| failed(unreadable(&error)))?;
    property.check().map_err(failed)?;
    property.rules = property.rules.in_currency(&property.currency);
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(property.property_id.as_str()) {
        return Err(failed(format!(
            "property_id is {:?}, which is not the file's name",
            property.property_id
        )));
    }
    Ok(property)
}

fn unreadable(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if said.starts_with("unknown ") {
        return format!("{said}; a newer build may have written it: run that one here, too");
    }
    said
}
