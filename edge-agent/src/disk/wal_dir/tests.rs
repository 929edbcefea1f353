//! Files are rolled, found again, deleted whole; and anything missing or foreign stops the edge by name.

use super::*;
use crate::fixture::{after, append, block, open, try_open};

fn start() -> Start {
    Start { block: 0, position: 0, received_at_ms: 0 }
}

fn wal_files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("wal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn blocks_are_found_again_over_files_and_restarts() {
    let root = tempfile::tempdir().unwrap();
    let end = append(&open(root.path()), start(), 10, 3);
    assert_eq!(wal_files(root.path()).len(), 4);
    let disk = open(root.path());
    assert_eq!(disk.wal.end(), end);
    for n in 0..10 {
        let (header, bytes) = disk.wal.read(n).unwrap();
        assert_eq!((header.block, header.from, header.hits), (n, n, 1));
        let decoded = hit::block::decode(&bytes).unwrap();
        assert_eq!(decoded.body.hits[0].url, format!("https://example.com/{}", n % 3));
    }
    let end = append(&disk, end, 5, 3);
    drop(disk);
    assert_eq!(open(root.path()).wal.end(), end);
}

#[test]
fn files_are_deleted_whole_and_never_the_last() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let end = append(&disk, start(), 10, 3);
    assert_eq!(disk.wal.delete_below(2).unwrap(), 0);
    assert_eq!(disk.wal.delete_below(7).unwrap(), 2);
    assert!(disk.wal.read(5).is_err());
    assert!(disk.wal.read(6).is_ok());
    assert_eq!(disk.wal.delete_below(1_000).unwrap(), 1);
    assert_eq!(wal_files(root.path()).len(), 1);
    let before = disk.wal.disk_bytes();
    assert!(before > 0);
    drop(disk);
    // Processing says it needs block 0, which is gone.
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(error.contains("but block 0 is needed"), "{error}");
    let wal = WalDir::open(&root.path().join("wal"), owner(root.path()), 1 << 20).unwrap();
    assert_eq!(wal.end(), end);
}

#[test]
fn after_a_kill_only_the_last_file_needs_repair() {
    let (root, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = open(root.path());
    let end = append(&disk, start(), 10, 3);
    // The committer measures the disk every now and then.
    disk.wal.disk_bytes();
    crate::fixture::copy(root.path(), left.path());
    let files = wal_files(left.path());
    let opens: Vec<bool> =
        files.iter().map(|file| redb::Builder::new().open_read_only(file).is_ok()).collect();
    assert_eq!(opens, [true, true, true, false]);
    assert_eq!(open(left.path()).wal.end(), end);
    assert_eq!(disk.wal.read(4).unwrap().0.block, 4, "a closed file is read all the same");
}

fn owner(root: &Path) -> Owner {
    let state =
        crate::disk::state::StateStore::open(&root.join("state.redb"), &crate::fixture::edge(), 1 << 20);
    Owner { edge: crate::fixture::edge(), epoch: state.unwrap().epoch() }
}

#[test]
fn an_empty_last_file_knows_where_the_wal_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let end = append(&disk, start(), 4, 100);
    disk.wal.roll(end).unwrap();
    disk.wal.delete_below(4).unwrap();
    drop(disk);
    let wal = WalDir::open(&root.path().join("wal"), owner(root.path()), 1 << 20).unwrap();
    assert_eq!(wal.end(), end);
}

#[test]
fn a_missing_or_foreign_file_stops_the_edge_by_name() {
    let root = tempfile::tempdir().unwrap();
    append(&open(root.path()), start(), 9, 3);
    let files = wal_files(root.path());
    let saved = std::fs::read(&files[1]).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(error.contains("00000000000000000006.redb") && error.contains("block 3"), "{error}");

    let other = tempfile::tempdir().unwrap();
    append(&open(other.path()), start(), 9, 3);
    std::fs::copy(&wal_files(other.path())[1], &files[1]).unwrap();
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("00000000000000000003.redb belongs to another edge")
            || error.contains("another edge or data directory"),
        "{error}"
    );

    std::fs::write(&files[1], saved).unwrap();
    assert!(try_open(root.path()).is_ok());
    std::fs::remove_file(root.path().join("state.redb")).unwrap();
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(error.contains("state.redb") && error.contains("is missing although"), "{error}");
}

#[test]
fn gaps_within_a_file_and_damaged_blocks_are_errors() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let file = disk.wal.active().unwrap();
    file.append(0, &block(start(), Some(0))).unwrap();
    let mut damaged = block(after(start(), 1), Some(1));
    if let Some(byte) = damaged.last_mut() {
        *byte ^= 1;
    }
    file.append(1, &damaged).unwrap();
    let error = disk.wal.read(1).unwrap_err().to_string();
    assert!(error.contains("00000000000000000000.redb") && error.contains("damaged at block 1"), "{error}");
    file.append(3, &block(Start { block: 3, position: 3, received_at_ms: 0 }, Some(3))).unwrap();
    drop((file, disk));
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(error.contains("has a gap: 3 blocks from 0 to 3"), "{error}");
}

#[test]
fn a_second_process_is_kept_out() {
    let root = tempfile::tempdir().unwrap();
    let _first = open(root.path());
    let error = try_open(root.path()).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn another_edge_is_kept_out() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let caches = crate::disk::Caches { wal_bytes: 1 << 20, state_bytes: 1 << 20 };
    let other = "edge-2".parse().unwrap();
    let error = crate::disk::open(root.path(), &other, caches).unwrap_err().to_string();
    assert!(error.contains("belongs to the edge \"edge-1\""), "{error}");
}
