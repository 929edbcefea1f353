//! Sets a property's rules and tracker settings: a new version beside the old ones, in a new file in the old one's place.
//!
//! In: what a rules file says. Out: what differs from the rules before, field by field. Writers of all processes take their
//! turns at a lock file, which the operating system frees when its holder dies; each reads the property again when it is its
//! turn, so none undoes another's version. The new file is synced beside the old one, renamed to its name, and the
//! directory synced, before it is answered: a reader finds the one or the other, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hit::Rules;
use serde_json::Value;

use crate::create::{CreateError, write_synced};
use crate::model::Property;
use crate::read::{FILE_MAX_BYTES, FileError, read};
use crate::rulebook::Invalid;
use crate::rules_file::{RulesFile, RulesFileError};
use crate::tracker::TrackerSettings;

/// Taken by whoever changes a property.
const LOCK: &str = ".change.lock";

/// A field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// As in the rules file: `session.engaged_after_s`.
    pub field: String,
    /// What it was.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

/// What setting rules did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesChange {
    /// The version in force after it: the one before if no rule changed, since tracker settings have no versions.
    pub version: u32,
    /// What is not as before; empty: nothing was to be done. By field.
    pub changes: Vec<FieldChange>,
}

/// Why rules were not set.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The text is no rules file.
    #[error(transparent)]
    Text(#[from] RulesFileError),
    /// A field cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// With the new version the property's file would be too large.
    #[error(
        "the property's file would have {0} bytes with these rules, more than {FILE_MAX_BYTES}, for every version stays \
         for the hits that name it; shorten the rules, or go on with a new property"
    )]
    Full(u64),
    /// The property's file cannot be used now.
    #[error(transparent)]
    Unusable(#[from] FileError),
    /// The new file could not be written.
    #[error(transparent)]
    Write(#[from] CreateError),
}

/// Sets what the file says; a dry run only tells what that would change. Blocks on the disk. The property is one that exists.
pub(crate) fn set(
    dir: &Path,
    property_id: &str,
    wanted: RulesFile,
    is_dry_run: bool,
) -> Result<RulesChange, RulesError> {
    let _turn = if is_dry_run { None } else { Some(take_turn(dir)?) };
    let path = dir.join(format!("{property_id}.json"));
    let before = read(&path)?;
    let (rules, tracker) = wanted.over(before.current_rules());
    tracker.check()?;
    let changes = differences((before.current_rules(), before.tracker()), (&rules, &tracker));
    let mut after = before.clone();
    if rules != **before.current_rules() {
        after.rules = before.rules.with(rules)?;
        after.time_zone.clone_from(&after.rules.current().time_zone);
    }
    after.tracker = (tracker != TrackerSettings::default()).then(|| Box::new(tracker));
    if !is_dry_run && !changes.is_empty() {
        replace(&path, &after)?;
    }
    Ok(RulesChange { version: after.current_rules().version, changes })
}

/// The lock, held until it is dropped.
fn take_turn(dir: &Path) -> Result<File, CreateError> {
    let path = dir.join(LOCK);
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&path);
    let locked = open.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| CreateError::Write { path, source })
}

/// In one's turn only: there is one name for the file that is being written.
fn replace(path: &Path, property: &Property) -> Result<(), RulesError> {
    let temporary = path.with_file_name(format!(".{}.new", property.property_id));
    let failed = |source| CreateError::Write { path: path.to_owned(), source };
    let json = serde_json::to_vec_pretty(property).map_err(|error| failed(error.into()))?;
    let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
    if bytes > FILE_MAX_BYTES {
        return Err(RulesError::Full(bytes));
    }
    match std::fs::remove_file(&temporary) {
        // Left by a writer that died.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error).into()),
    }
    let written = write_synced(&temporary, &json).and_then(|()| durable::rename(&temporary, path));
    written.map_err(|error| failed(error).into())
}

/// What is not the same in two states, field by field as in the rules file.
fn differences(before: (&Rules, &TrackerSettings), after: (&Rules, &TrackerSettings)) -> Vec<FieldChange> {
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    // Only lists are left out when they are empty.
    let value = |fields: &BTreeMap<String, Value>, name: &String| {
        fields.get(name).cloned().unwrap_or(Value::Array(Vec::new()))
    };
    names
        .into_iter()
        .map(|name| FieldChange { field: name.clone(), old: value(&before, name), new: value(&after, name) })
        .filter(|change| change.old != change.new)
        .collect()
}

fn fields((rules, tracker): (&Rules, &TrackerSettings)) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let Ok(Value::Object(tables)) = serde_json::to_value(RulesFile::of(rules, tracker)) else {
        return fields;
    };
    for (table, value) in tables {
        match value {
            Value::Object(inner) => {
                fields.extend(inner.into_iter().map(|(name, value)| (format!("{table}.{name}"), value)));
            }
            value => {
                fields.insert(table, value);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests;
