//! Places by address, in files that another program made (`tests/data/make_databases.py`).

use std::path::PathBuf;

use super::super::follow::Followed;
use super::*;

fn open(names: &[&str]) -> Arc<[Arc<Database>]> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let paths: Vec<PathBuf> = names.iter().map(|name| directory.join(name)).collect();
    Followed::open(&paths).unwrap().held()
}

fn check(names: &[&str], expected: &[(&str, &str, &str, &str)]) {
    let databases = open(names);
    for (address, country, region, city) in expected {
        let located = locate(&databases, address.parse().unwrap());
        let found = (located.country.as_str(), &*located.region, &*located.city);
        assert_eq!(found, (*country, *region, *city), "{address}");
    }
}

#[test]
fn flat_records_are_read_from_a_file_for_each_kind_of_address() {
    let longest = format!("a{}", "ö".repeat(31));
    check(
        &["flat-ipv4.mmdb", "flat-ipv6.mmdb"],
        &[
            ("81.2.69.142", "GB", "England", "London"),
            ("177.37.1.1", "BR", "Tocantins", "Araguaina"),
            ("192.0.2.1", "DE", "", ""),
            ("192.0.2.200", "SE", &longest, "Umeå"),
            // Its country is no code: nothing of the record counts.
            ("198.51.100.1", "", "", ""),
            ("203.0.113.1", "", "", ""),
            ("2001:db8:1::5", "DE", "Land Berlin", "Berlin"),
            ("2001:db8:2::5", "", "", ""),
        ],
    );
}

#[test]
fn nested_records_are_read_from_one_file() {
    check(
        &["nested.mmdb"],
        &[
            ("81.2.69.142", "GB", "England", "London"),
            ("192.0.2.1", "DE", "", ""),
            ("203.0.113.1", "", "", ""),
            ("2001:db8:1::5", "DE", "Land Berlin", "Berlin"),
        ],
    );
}

#[test]
fn the_first_file_that_knows_an_address_counts() {
    let both = [("81.2.69.142", "GB", "England", "Islington"), ("192.0.2.1", "DE", "", "")];
    check(&["flat-ipv4-newer.mmdb", "nested.mmdb"], &both);
    check(&[], &[("81.2.69.142", "", "", "")]);
}

#[test]
fn a_database_says_what_it_is_and_when_it_was_built() {
    let databases = open(&["flat-ipv4.mmdb", "nested.mmdb"]);
    let told: Vec<_> = databases.iter().map(|one| (one.database_type(), one.built_at_s())).collect();
    // 2026-06-05T00:00:00Z
    assert_eq!(told, [("city ipv4", 1_780_617_600), ("GeoLite2-City", 1_780_617_600)]);
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.mmdb");
    std::fs::write(&path, b"nothing").unwrap();
    let error = Followed::<Database>::open(std::slice::from_ref(&path)).unwrap_err().to_string();
    assert!(error.starts_with("geo_database = ") && error.contains("x.mmdb"), "{error}");
}

#[test]
fn a_damaged_database_finds_less_and_breaks_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nested.mmdb");
    let whole = std::fs::read(path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        if let Ok(reader) = Reader::from_source(bytes) {
            let database = Database(reader);
            for address in ["81.2.69.142", "192.0.2.1", "2001:db8:1::5"] {
                let located = database.find(address.parse().unwrap()).unwrap_or_default();
                assert!(located.region.len() <= NAME_BYTES && located.city.len() <= NAME_BYTES);
            }
        }
    }
}
