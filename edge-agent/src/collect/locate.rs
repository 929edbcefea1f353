//! Where an address is: country, region and city, from files in MaxMind's format.
//!
//! In: an address. Out: texts that borrow from the database. Two shapes of records are known: the flat one of the ip-location-db packages
//! (`country_code`, `state1`, `city`) and MaxMind's own (`country.iso_code`, `subdivisions[0].names.en`, `city.names.en`).
//! Invariant: a place without a country has no region and no city.

pub(crate) mod told;

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{PathElement, Reader, path};

use super::follow::FromFile;

/// Most bytes of a region's or a city's name.
const NAME_BYTES: usize = 64;

/// One file of places. It lies in memory: a mapping would be undefined behaviour as soon as somebody writes to the file.
#[derive(Debug)]
pub(crate) struct Database(Reader<Vec<u8>>);

/// A country, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Country(Option<[u8; 2]>);

/// Where something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Located<'a> {
    /// Country.
    pub(crate) country: Country,
    /// Name of the first subdivision of the country; empty: unknown.
    pub(crate) region: Cow<'a, str>,
    /// Name; empty: unknown.
    pub(crate) city: Cow<'a, str>,
}

impl FromFile for Database {
    const SETTING: &'static str = "geo_database";

    fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let reader = Reader::from_source(bytes);
        reader.map(Self).map_err(|error| format!("is no location database in MaxMind's format: {error}"))
    }
}

impl Database {
    /// What its publisher calls it, such as `GeoLite2-City`.
    pub(crate) fn database_type(&self) -> &str {
        &self.0.metadata().database_type
    }

    /// When it was built, unix seconds.
    pub(crate) fn built_at_s(&self) -> u64 {
        self.0.metadata().build_epoch
    }

    fn find(&self, address: IpAddr) -> Option<Located<'_>> {
        // An IPv6 address in a file of IPv4 is an error, and means the same as one that is not there.
        let found = self.0.lookup(address).ok()?;
        let text = |path: &[PathElement<'_>]| {
            let text: Option<&str> = found.decode_path(path).ok().flatten();
            text.unwrap_or_default()
        };
        let (country, region, city) = match text(&path!["country_code"]) {
            "" => (
                text(&path!["country", "iso_code"]),
                text(&path!["subdivisions", 0, "names", "en"]),
                text(&path!["city", "names", "en"]),
            ),
            country => (country, text(&path!["state1"]), without_district(text(&path!["city"]))),
        };
        let country = Country::of(country)?;
        Some(Located { country, region: tidy(region).into(), city: tidy(city).into() })
    }
}

/// Where an address is; of several files the first that knows it counts.
pub(crate) fn locate(databases: &[Arc<Database>], address: IpAddr) -> Located<'_> {
    databases.iter().find_map(|database| database.find(address)).unwrap_or_default()
}

impl Located<'_> {
    /// The same without copies of texts.
    pub(crate) fn borrowed(&self) -> Located<'_> {
        Located { country: self.country, region: (&*self.region).into(), city: (&*self.city).into() }
    }
}

impl Country {
    /// From ISO 3166-1 alpha-2 in any case of letters. `XX` is what some write for an unknown one; `T1`, for Tor, is no code either.
    fn of(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        let code = code.map(|letter| letter.to_ascii_uppercase());
        (code.iter().all(u8::is_ascii_alphabetic) && code != *b"XX").then_some(Self(Some(code)))
    }

    /// ISO 3166-1 alpha-2, upper case; empty: unknown.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().and_then(|letters| std::str::from_utf8(letters).ok()).unwrap_or_default()
    }
}

/// DB-IP puts districts behind the city: `Araguaina (Loteamento Sao Luiz)`.
fn without_district(city: &str) -> &str {
    city.split_once(" (").map_or(city, |(city, _)| city)
}

/// A name as a hit keeps it: at most [`NAME_BYTES`], cut at a character, without blanks around it. One with control characters is none.
fn tidy(name: &str) -> &str {
    let name = name.trim();
    let name = name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default().trim_end();
    if name.chars().any(char::is_control) { "" } else { name }
}

#[cfg(test)]
mod tests;
