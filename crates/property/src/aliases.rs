//! Aliases: what other products call a site, as files beside the properties.
//!
//! `{dir}/.aliases/{name}.json`, written once with create-if-absent, so that two writers cannot give one alias to two properties; `name` is
//! SHA-256 of the length-prefixed alias. A file never changes: it is made and, when the alias is removed, deleted. In: the directory. Out:
//! the property id of an alias.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::create::{CreateError, make_dir, write_synced};
use crate::key::random_base32;
use crate::model::check_hostname;

/// Folder of aliases.
const FOLDER: &str = ".aliases";

/// Longest id of a site, bytes.
const ID_BYTES: usize = 200;

/// What another product calls a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The protocol, such as `ga4`.
    pub protocol: String,
    /// Its id of the site: `G-…`, a domain, a number.
    pub id: String,
    /// Host name of the pages, lower case, where ids of the protocol are not unique by nature; otherwise empty.
    pub hostname: String,
}

/// An alias and whose it is, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedAlias {
    /// The alias.
    pub alias: Alias,
    /// `p_…`
    pub property_id: String,
}

/// Why an alias was not claimed or removed.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// A field cannot be used.
    #[error("{field} is {value:?}, {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Another property has it.
    #[error("{protocol} id {id:?} belongs to property {owner}; remove it there first")]
    Taken {
        /// The protocol.
        protocol: String,
        /// The id.
        id: String,
        /// Whose it is.
        owner: String,
    },
    /// No such alias of this property.
    #[error("property {0} has no such alias")]
    Absent(String),
    /// The file could not be written or deleted.
    #[error(transparent)]
    Write(#[from] CreateError),
}

/// The aliases that were last read, by the names of their files.
#[derive(Debug, Default, Clone)]
pub(crate) struct Aliases {
    files: HashMap<OsString, Option<OwnedAlias>>,
    owners: HashMap<Alias, Arc<str>>,
}

impl Aliases {
    /// Looks again: `Some` when something changed. Files that cannot be used are told once and passed over.
    pub(crate) fn refresh(&self, dir: &Path) -> io::Result<Option<Self>> {
        let listing = match std::fs::read_dir(dir.join(FOLDER)) {
            Ok(listing) => listing,
            // Nobody has claimed one yet. If some were known, the directory is gone as a whole: they stay.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut files = HashMap::with_capacity(self.files.len());
        let mut is_new = false;
        for entry in listing {
            let entry = entry?;
            let name = entry.file_name();
            if !is_name(&name) {
                continue;
            }
            let known = self.files.get(&name).cloned();
            is_new |= known.is_none();
            let alias = known.unwrap_or_else(|| match read(&entry.path()) {
                Ok(alias) => Some(alias),
                Err(error) => {
                    tracing::error!(path = %entry.path().display(), %error, "this alias cannot be used");
                    None
                }
            });
            files.insert(name, alias);
        }
        if !is_new && files.len() == self.files.len() {
            return Ok(None);
        }
        let owned = files.values().flatten();
        let owners = owned.map(|owned| (owned.alias.clone(), owned.property_id.as_str().into())).collect();
        Ok(Some(Self { files, owners }))
    }

    /// Whose an alias is.
    pub(crate) fn owner(&self, alias: &Alias) -> Option<Arc<str>> {
        self.owners.get(alias).cloned()
    }

    /// All aliases of a property, or all there are, in order.
    pub(crate) fn of(&self, property_id: Option<&str>) -> Vec<OwnedAlias> {
        let wanted = |owned: &&OwnedAlias| property_id.is_none_or(|id| owned.property_id == id);
        let mut found: Vec<_> = self.files.values().flatten().filter(wanted).cloned().collect();
        found.sort_by(|a, b| (&a.property_id, &a.alias).cmp(&(&b.property_id, &b.alias)));
        found
    }
}

/// Claims an alias; durable when it returns. One that the property has already is no error.
pub(crate) fn claim(dir: &Path, owned: &OwnedAlias) -> Result<(), AliasError> {
    check(&owned.alias)?;
    let folder = dir.join(FOLDER);
    make_dir(&folder)?;
    let path = path_of(&folder, &owned.alias);
    // A name of its own for each writer: what is linked must be what this one wrote.
    let temporary = folder.join(format!(".{}.new", random_base32(12).map_err(CreateError::Random)?));
    let failed = |source| CreateError::Write { path: path.clone(), source };
    let json = serde_json::to_vec_pretty(owned).map_err(|error| failed(error.into()))?;
    let written = write_synced(&temporary, &json).and_then(|()| std::fs::hard_link(&temporary, &path));
    let _gone_or_harmless = std::fs::remove_file(&temporary);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = read(&path).map_err(failed)?;
            if there.property_id != owned.property_id {
                let Alias { protocol, id, .. } = owned.alias.clone();
                return Err(AliasError::Taken { protocol, id, owner: there.property_id });
            }
        }
        Err(error) => return Err(failed(error).into()),
    }
    sync(&folder)
}

/// Gives an alias up; durable when it returns.
pub(crate) fn release(dir: &Path, owned: &OwnedAlias) -> Result<(), AliasError> {
    let folder = dir.join(FOLDER);
    let path = path_of(&folder, &owned.alias);
    let absent = || AliasError::Absent(owned.property_id.clone());
    match read(&path) {
        Ok(there) if there == *owned => {}
        Ok(_) => return Err(absent()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent()),
        Err(source) => return Err(CreateError::Write { path, source }.into()),
    }
    std::fs::remove_file(&path).map_err(|source| CreateError::Write { path, source })?;
    sync(&folder)
}

fn sync(folder: &Path) -> Result<(), AliasError> {
    durable::sync_dir(folder).map_err(|source| CreateError::Write { path: folder.to_owned(), source }.into())
}

fn check(alias: &Alias) -> Result<(), AliasError> {
    let invalid = |field, value: &str, problem: &str| AliasError::Invalid {
        field,
        value: value.to_owned(),
        problem: problem.to_owned(),
    };
    if !(1..=ID_BYTES).contains(&alias.id.len()) || alias.id.chars().any(char::is_control) {
        let problem = format!(
            "which is not 1 to {ID_BYTES} printable bytes; write the site's id as the client sends it"
        );
        return Err(invalid("id", &alias.id, &problem));
    }
    if !alias.hostname.is_empty() {
        check_hostname(&alias.hostname).map_err(|problem| invalid("hostname", &alias.hostname, problem))?;
    }
    Ok(())
}

fn path_of(folder: &Path, alias: &Alias) -> PathBuf {
    let mut hash = Sha256::new();
    for field in [&alias.protocol, &alias.id, &alias.hostname] {
        hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(field);
    }
    folder.join(format!("{}.json", hex::encode(hash.finalize())))
}

/// Whether this is the name of an alias' file; not that of one being written.
fn is_name(name: &std::ffi::OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_suffix(".json")).is_some_and(|stem| stem.len() == 64)
}

fn read(path: &Path) -> io::Result<OwnedAlias> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests;
