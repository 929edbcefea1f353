//! A version in the making: the state in force with what was written since.
//!
//! Several callers' changes go into one version; each sees what those before it wrote. What a caller wrote who is refused is taken back.

use std::collections::BTreeMap;

use configuration::replica::{Reader, Records};
use configuration::stored::ReadError;
use configuration::{Checksum, ReplicaError};
use proto::config::Write;

use super::unreadable;
use crate::refuse::Refusal;

/// Records that are not as in the state in force; `None`: deleted.
type Written = BTreeMap<String, Option<Vec<u8>>>;

/// The state with what one caller wrote.
pub struct Draft<'a> {
    reader: &'a Reader<'a>,
    /// By callers before.
    before: &'a Written,
    /// By this one.
    written: Written,
}

impl<'a> Draft<'a> {
    /// On the state in force, with what callers before it wrote.
    pub(super) fn new(reader: &'a Reader<'a>, before: &'a Written) -> Self {
        Self { reader, before, written: Written::new() }
    }

    /// Writes a record.
    pub fn put(&mut self, key: String, value: Vec<u8>) {
        self.written.insert(key, Some(value));
    }

    /// Deletes a record.
    pub fn delete(&mut self, key: String) {
        self.written.insert(key, None);
    }

    /// The value of a key, as it is with what was written.
    ///
    /// # Errors
    /// `Internal`.
    pub fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.get(key).map_err(|error| unreadable(&error))
    }

    /// What differs from before this caller, in the order of keys.
    pub(super) fn into_writes(self) -> Result<Vec<Write>, ReplicaError> {
        let mut writes = Vec::with_capacity(self.written.len());
        for (key, after) in self.written {
            let before = match self.before.get(&key) {
                Some(written) => written.clone(),
                None => self.reader.get(&key)?,
            };
            if before != after {
                writes.push(Write { key, before, after });
            }
        }
        Ok(writes)
    }
}

impl Records for Draft<'_> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ReplicaError> {
        match self.written.get(key).or_else(|| self.before.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.reader.get(key),
        }
    }

    fn for_each(&self, prefix: &str, told: &mut dyn FnMut(&str, &[u8])) -> Result<(), ReplicaError> {
        let mut found = BTreeMap::new();
        self.reader.for_each(prefix, &mut |key, value| {
            found.insert(key.to_owned(), Some(value.to_vec()));
        })?;
        for written in [self.before, &self.written] {
            let of_prefix = written.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
            found.extend(of_prefix.map(|(key, value)| (key.clone(), value.clone())));
        }
        for (key, value) in &found {
            if let Some(value) = value {
                told(key, value);
            }
        }
        Ok(())
    }
}

/// The checksum after writes.
pub(super) fn checksum_after(mut checksum: Checksum, writes: &[Write]) -> Checksum {
    for Write { key, before, after } in writes {
        if let Some(before) = before {
            checksum = checksum.without(key, before);
        }
        if let Some(after) = after {
            checksum = checksum.with(key, after);
        }
    }
    checksum
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        unreadable(&error)
    }
}
