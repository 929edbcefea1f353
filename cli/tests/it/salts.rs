//! One visitor at two edges is one visitor in reports, and what makes him so is nowhere but where it has to be.
//!
//! The salts' own bytes are looked for in every file of a running system's data directory, which holds the object store, the warehouse
//! and the directories of two apis, hubs and edges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::system::{Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const SALT_BYTES: usize = 16;
/// Dates on earth at a time, and two ahead.
const LEAST_SALTS: usize = 4;

#[test]
fn a_visitor_without_cookies_is_one_at_every_edge_and_salts_are_in_their_folders_alone() {
    let mut system =
        System::start(&Options { processes: true, edges: 2, hubs: 2, apis: 2, ..Options::default() });
    let property = system.create_property(&[]);
    let edges = system.collect_urls();
    assert_eq!(edges.len(), 2);
    for address in ["203.0.113.7", "203.0.113.8", "203.0.113.7"] {
        for edge in &edges {
            let body = json!({"measurement_id": property.measurement_id, "hits": [{"url": "https://shop.example.com/"}]});
            let headers =
                [("content-type", "application/json"), ("user-agent", HUMAN), ("x-forwarded-for", address)];
            let sent = system.client().send(Method::POST, edge, &headers, Bytes::from(body.to_string()));
            let answer = system.runtime().block_on(sent).unwrap();
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
    }
    system.settle();
    let totals =
        &system.report(&property, "--from yesterday --metrics visitors,page_views,sessions")["totals"];
    let total = |metric: &str| totals[metric].as_u64().unwrap();
    // Two people, whom either edge saw; a session belongs to its edge.
    assert_eq!((total("visitors"), total("page_views"), total("sessions")), (2, 6, 4), "{totals}");

    let salts = salts_of(&system.data().join("store/salts"), None);
    assert!(salts.len() >= LEAST_SALTS, "{} salts", salts.len());
    for edge in ["edge", "edge-2"] {
        assert_eq!(salts_of(&system.data().join(edge).join("salts"), Some(".salt")), salts, "{edge}");
    }
    let allowed = ["store/salts", "edge/salts", "edge-2/salts"];
    assert_found(system.data(), &salts, &allowed);
    // And what is written when services end.
    system.stop();
    assert_found(system.data(), &salts, &allowed);
}

/// The salts in a folder by date: the first bytes of each file.
fn salts_of(folder: &Path, suffix: Option<&str>) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let date = suffix.map_or(Some(name), |suffix| name.strip_suffix(suffix)).unwrap().to_owned();
            (date, std::fs::read(&path).unwrap()[..SALT_BYTES].to_vec())
        })
        .collect()
}

/// Looks for every salt in every file: there are some in each of these folders, and none elsewhere.
fn assert_found(data: &Path, salts: &BTreeMap<String, Vec<u8>>, allowed: &[&str]) {
    let (mut files, mut folders) = (Vec::new(), BTreeSet::new());
    walk(data, &mut files);
    let needles = Needles::of(salts);
    for file in &files {
        // Files come and go while services run.
        let Ok(bytes) = std::fs::read(file) else { continue };
        let within = file.strip_prefix(data).unwrap();
        if let Some(found) = needles.first_in(&bytes) {
            let folder = within.parent().unwrap().to_str().unwrap().to_owned();
            assert!(allowed.contains(&folder.as_str()), "{} holds the salt of {found}", within.display());
            folders.insert(folder);
        }
    }
    assert_eq!(folders, allowed.iter().map(|folder| (*folder).to_owned()).collect());
    let top: BTreeSet<_> =
        files.iter().map(|file| file.strip_prefix(data).unwrap().iter().next().unwrap()).collect();
    for folder in ["api", "api-2", "hub", "hub-2", "edge", "edge-2", "store", "warehouse"] {
        assert!(top.contains(std::ffi::OsStr::new(folder)), "{folder} was not searched");
    }
}

/// What a salt may look like: its bytes, hex in any case of letters, or numbers as a log shows bytes.
struct Needles {
    list: Vec<(String, Vec<u8>)>,
    /// Whether one begins with these two bytes, in lower case.
    begins: Vec<bool>,
}

impl Needles {
    fn of(salts: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut list = Vec::new();
        for (date, salt) in salts {
            let hex: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
            let numbers = format!("{salt:?}");
            for needle in [salt.clone(), hex.into_bytes(), numbers.trim_matches(['[', ']']).into()] {
                list.push((date.clone(), needle.to_ascii_lowercase()));
            }
        }
        let mut begins = vec![false; 1 << 16];
        list.iter().for_each(|(_, needle)| begins[two(needle)] = true);
        Self { list, begins }
    }

    /// The date of the first that is there. As bytes go, letters may be of either case: that finds more, and never less.
    fn first_in(&self, bytes: &[u8]) -> Option<&str> {
        let bytes = bytes.to_ascii_lowercase();
        (1..bytes.len()).map(|end| &bytes[end - 1..]).filter(|rest| self.begins[two(rest)]).find_map(|rest| {
            let found = self.list.iter().find(|(_, needle)| rest.starts_with(needle));
            found.map(|(date, _)| date.as_str())
        })
    }
}

fn two(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

#[test]
fn the_search_finds_salts_in_every_shape() {
    let salt: Vec<u8> = (0xA8..0xB8).collect();
    let needles = Needles::of(&BTreeMap::from([("2026-03-10".to_owned(), salt.clone())]));
    let hex = "a8A9aaabacadaeafb0b1b2b3b4b5b6b7";
    let numbers = "salt: [168, 169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182, 183]";
    for text in [&[b"...".as_slice(), &salt].concat(), hex.as_bytes(), numbers.as_bytes()] {
        assert_eq!(needles.first_in(text), Some("2026-03-10"));
        assert_eq!(needles.first_in(&text[..text.len() - 2]), None);
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}
