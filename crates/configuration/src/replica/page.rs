//! Records page by page, forwards and backwards, for lists that nobody reads as a whole.
//!
//! In: the beginning that keys have in common, the key where the page before ended, a limit. Out: at most so many records. The cost is that
//! of the page, whatever comes before and behind it.

use std::ops::Bound;

use redb::AccessGuard;

use super::{RECORDS, Reader, ReplicaError};

/// Key and value of a record.
pub type KeyValue = (String, Vec<u8>);

type Entry = (AccessGuard<'static, &'static str>, AccessGuard<'static, &'static [u8]>);

impl Reader<'_> {
    /// At most `limit` records whose key begins so, in the order of keys, from behind `after`; empty: from the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyValue>, ReplicaError> {
        let first = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let range = self.range(first, Bound::Unbounded)?;
        self.taken(prefix, range.take(limit))
    }

    /// At most `limit` records whose key begins so, the last one first, from before `before`; empty: from the last.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn page_back(&self, prefix: &str, before: &str, limit: usize) -> Result<Vec<KeyValue>, ReplicaError> {
        // No key has this character, so all that begin with the prefix sort before it.
        let end = format!("{prefix}\u{10ffff}");
        let last = if before.is_empty() || *before > *end { end.as_str() } else { before };
        if last <= prefix {
            return Ok(Vec::new());
        }
        let range = self.range(Bound::Included(prefix), Bound::Excluded(last))?;
        self.taken(prefix, range.rev().take(limit))
    }

    fn range(
        &self,
        first: Bound<&str>,
        last: Bound<&str>,
    ) -> Result<redb::Range<'static, &'static str, &'static [u8]>, ReplicaError> {
        let failed = |error: redb::Error| self.replica.failed("cannot be read", error);
        let table = self.transaction.open_table(RECORDS).map_err(|error| failed(error.into()))?;
        table.range::<&str>((first, last)).map_err(|error| failed(error.into()))
    }

    fn taken(
        &self,
        prefix: &str,
        entries: impl Iterator<Item = Result<Entry, redb::StorageError>>,
    ) -> Result<Vec<KeyValue>, ReplicaError> {
        let mut found = Vec::new();
        for entry in entries {
            let (key, value) = entry.map_err(|error| self.replica.failed("cannot be read", error))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), value.value().to_vec()));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::config::Record;

    use crate::fixture;
    use crate::replica::{NoView, Replica};

    #[test]
    fn pages_have_what_begins_so_from_where_the_last_one_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.redb");
        fixture::edge_copy(&path, std::iter::empty(), &[]).unwrap();
        let replica = Replica::open(&path, 1 << 20, Arc::new(NoView)).unwrap();
        let keys = ["a/1", "b/", "b/1", "b/2", "b/3", "b0", "c/1"];
        let record = |key: &&str| Record { key: (*key).to_owned(), value: Some(vec![1]) };
        let delta = fixture::next(&replica, keys.iter().map(record).collect()).unwrap();
        replica.apply(&[delta]).unwrap();
        let reader = replica.read().unwrap();
        let names =
            |page: Vec<(String, Vec<u8>)>| page.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" ");
        for (after, limit, expected) in [
            ("", 2, "b/ b/1"),
            ("b/1", 9, "b/2 b/3"),
            ("b/15", 9, "b/2 b/3"),
            ("b/3", 9, ""),
            ("z", 9, ""),
            ("a", 1, "b/"),
            ("", 0, ""),
        ] {
            assert_eq!(names(reader.page("b/", after, limit).unwrap()), expected, "after {after}");
        }
        for (before, limit, expected) in [
            ("", 2, "b/3 b/2"),
            ("b/3", 9, "b/2 b/1 b/"),
            ("b/25", 1, "b/2"),
            ("b/", 9, ""),
            ("a", 9, ""),
            ("z", 1, "b/3"),
        ] {
            assert_eq!(names(reader.page_back("b/", before, limit).unwrap()), expected, "before {before}");
        }
    }
}
