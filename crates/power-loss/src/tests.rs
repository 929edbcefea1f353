//! The disk forgets what it may, and keeps what it must; a missing sync is found, whichever it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::disk::Disk;
use crate::log::{Event, Kind, Log, Point};
use crate::record::recorded_root;
use crate::survivors::{lay_out, survive};
use crate::{Case, acknowledged, step};

/// All trees that a disk may leave at the end of `log`, each as `name=bytes …`.
fn trees(log: &Log) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for seed in 0..400 {
        let disk = Disk::at(log, log.events.len(), &[]);
        let disk = survive(disk, &mut StdRng::seed_from_u64(seed));
        let root = tempfile::tempdir().unwrap();
        lay_out(&disk, root.path()).unwrap();
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(root.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = if path.is_dir() {
                format!("{} entries", fs::read_dir(&path).unwrap().count())
            } else {
                String::from_utf8(fs::read(path).unwrap()).unwrap()
            };
            files.insert(name, text);
        }
        found.insert(files.iter().map(|(name, text)| format!("{name}={text} ")).collect());
    }
    found
}

fn log_of(kinds: &[Kind], events: Vec<Event>) -> Log {
    let mut log = Log::new();
    log.kinds.extend(kinds);
    log.point(Point { step: "s".into(), file: "f".into(), number: 1 });
    log.events = events;
    log
}

fn enter(name: &str, inode: usize) -> Event {
    Event::Enter { directory: 0, name: name.into(), inode }
}

fn sync(inode: usize, since: usize) -> Event {
    Event::Sync { inode, since, point: 0 }
}

fn write(at: u64, text: &str) -> Event {
    Event::Write { file: 1, at, bytes: text.as_bytes().into() }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_name_and_the_bytes_behind_it_are_kept_by_different_syncs() {
    let file = [Kind::File];
    let events = || vec![enter("a", 1), write(0, "xy")];
    let and = |more: &[Event]| log_of(&file, [events(), more.to_vec()].concat());
    assert_eq!(trees(&and(&[])), set(&["", "a= ", "a=xy "]));
    assert_eq!(trees(&and(&[sync(1, 2)])), set(&["", "a=xy "]));
    assert_eq!(trees(&and(&[sync(0, 2)])), set(&["a= ", "a=xy "]));
    assert_eq!(trees(&and(&[sync(0, 2), sync(1, 2)])), set(&["a=xy "]));
    // One that began before the bytes were written.
    assert_eq!(trees(&and(&[sync(1, 1), sync(0, 1)])), set(&["a= ", "a=xy "]));
}

#[test]
fn a_rename_may_leave_either_name_both_or_none() {
    let leave = Event::Leave { directory: 0, name: "a".into() };
    let log = log_of(&[Kind::File], vec![enter("a", 1), sync(0, 1), enter("b", 1), leave]);
    assert_eq!(trees(&log), set(&["", "a= ", "b= ", "a= b= "]));
}

#[test]
fn a_synced_directory_whose_name_was_not_is_gone() {
    let inside = Event::Enter { directory: 1, name: "b".into(), inode: 2 };
    let log = log_of(&[Kind::Directory, Kind::File], vec![enter("a", 1), inside, sync(1, 2)]);
    assert_eq!(trees(&log), set(&["", "a=1 entries "]));
}

#[test]
fn writes_are_torn_at_any_sector_and_come_in_any_order() {
    let text = |byte: &str, sectors: usize| byte.repeat(512 * sectors);
    let events = vec![
        enter("a", 1),
        sync(0, 1),
        write(0, &text("-", 3)),
        sync(1, 3),
        write(0, &text("x", 3)),
        write(0, &text("y", 1)),
    ];
    let found = trees(&log_of(&[Kind::File], events));
    // Each sector has the old bytes or the new ones, the first those of either write; a sector is never mixed.
    let expected: BTreeSet<String> = ["-", "x", "y"]
        .iter()
        .flat_map(|a| ["-", "x"].map(|b| (a, b)))
        .flat_map(|(a, b)| ["-", "x"].map(|c| format!("a={}{}{} ", text(a, 1), text(b, 1), text(c, 1))))
        .collect();
    assert_eq!(found, expected);
}

/// Makes a file of two lines under a temporary name, as everything that is durable is made here.
fn make(root: &Path) {
    let folder = root.join("folder");
    step("make the folder");
    fs::create_dir_all(&folder).unwrap();
    File::open(root).unwrap().sync_all().unwrap();
    if !folder.join("note.txt").exists() {
        step("make the file");
        let mut file = File::create(folder.join("new.tmp")).unwrap();
        file.write_all(b"one\n").unwrap();
        file.write_all(b"two\n").unwrap();
        file.sync_all().unwrap();
        fs::rename(folder.join("new.tmp"), folder.join("note.txt")).unwrap();
    }
    step("sync the folder");
    File::open(&folder).unwrap().sync_all().unwrap();
    acknowledged("note".into());
    step("end");
    File::open(&folder).unwrap().sync_all().unwrap();
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    match fs::read(root.join("folder/note.txt")) {
        Ok(bytes) if bytes == b"one\ntwo\n" => Ok(()),
        Err(_) if acknowledged.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn every_sync_of_a_small_program_is_missed() {
    Case {
        test: "tests::every_sync_of_a_small_program_is_missed",
        work: make,
        check,
        seeds: 200,
        covered: &[],
        needless: &[("end: folder/", "nothing was changed since")],
    }
    .prove();
}

/// As above, but a folder that is there is taken to be durable: a kill before the sync leaves one that is not.
fn make_carelessly(root: &Path) {
    let folder = root.join("folder");
    step("make");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        File::open(root).unwrap().sync_all().unwrap();
    }
    fs::write(folder.join("new.tmp"), b"one\ntwo\n").unwrap();
    File::open(folder.join("new.tmp")).unwrap().sync_all().unwrap();
    fs::rename(folder.join("new.tmp"), folder.join("note.txt")).unwrap();
    File::open(&folder).unwrap().sync_all().unwrap();
    acknowledged("note".into());
}

#[test]
fn a_folder_that_a_killed_process_made_and_did_not_sync_is_found() {
    let test = "tests::a_folder_that_a_killed_process_made_and_did_not_sync_is_found";
    let case = Case { test, work: make_carelessly, check, seeds: 200, covered: &[], needless: &[] };
    if let Some(root) = recorded_root() {
        return make_carelessly(&root);
    }
    let wrong = case.examine().unwrap_err();
    assert!(wrong.contains("begun again at 1"), "{wrong}");
}
