//! Where an address is: its country, from a file in MaxMind's format that is read once at start.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxminddb::{Reader, path};

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("geo_database = {path:?} is no country database in MaxMind's format: {reason}")]
pub(crate) struct LocateError {
    path: PathBuf,
    reason: String,
}

/// Finds countries; without a database it finds none.
#[derive(Debug, Clone)]
pub(crate) struct Locator(Option<Arc<Reader<Vec<u8>>>>);

/// A country, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Country(Option<[u8; 2]>);

impl Locator {
    /// Reads the database.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, LocateError> {
        let Some(path) = path else { return Ok(Self(None)) };
        let reader = Reader::open_readfile(path)
            .map_err(|error| LocateError { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self(Some(Arc::new(reader))))
    }

    /// The country of an address.
    pub(crate) fn country(&self, address: IpAddr) -> Country {
        Country(self.find(address))
    }

    fn find(&self, address: IpAddr) -> Option<[u8; 2]> {
        let found = self.0.as_ref()?.lookup(address).ok()?;
        // MaxMind nests the code, the ip-location-db files do not.
        let flat: Option<&str> = found.decode_path(&path!["country_code"]).ok().flatten();
        let code = match flat {
            Some(code) => Some(code),
            None => found.decode_path(&path!["country", "iso_code"]).ok().flatten(),
        }?;
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_uppercase()))
    }
}

impl Country {
    /// Not to be told.
    pub(crate) const UNKNOWN: Self = Self(None);

    /// ISO 3166-1 alpha-2, upper case; empty: unknown.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().and_then(|letters| std::str::from_utf8(letters).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_database_every_country_is_unknown() {
        let locator = Locator::open(None).unwrap();
        assert_eq!(locator.country("203.0.113.9".parse().unwrap()).as_str(), "");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.mmdb");
        std::fs::write(&path, b"nothing").unwrap();
        let error = Locator::open(Some(&path)).unwrap_err().to_string();
        assert!(error.starts_with("geo_database = ") && error.contains("x.mmdb"), "{error}");
    }
}
