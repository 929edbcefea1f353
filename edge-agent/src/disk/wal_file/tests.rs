//! What survives a loss of power: everything whose append returned, whatever the disk had not been told to keep.

use std::sync::OnceLock;

use super::*;
use crate::disk::forgetful::{ForgetfulDisk, cut_of};
use crate::fixture::{after, block, edge};

const BEGIN: Start = Start { block: 0, position: 0, received_at_ms: 0 };
const SEEDS: u64 = 1_000;
/// Without one sync of each commit.
const SEEDS_WITHOUT: u64 = 250;
const APPENDS: u64 = 12;
const CACHE_BYTES: usize = 1 << 20;

fn owner() -> Owner {
    Owner { edge: edge(), epoch: hit::Epoch([3; 16]) }
}

fn open(disk: &ForgetfulDisk) -> Result<WalFile, FileError> {
    WalFile::open_writable_on(disk, &PathBuf::from(file_name(0)), CACHE_BYTES)
}

fn new_file(disk: &ForgetfulDisk) -> WalFile {
    let database = new_database(disk, BEGIN, &owner(), CACHE_BYTES).unwrap();
    WalFile { path: PathBuf::from(file_name(0)), handle: Handle::Writable(database) }
}

#[test]
fn appended_blocks_survive_a_loss_of_power_after_each() {
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    let mut next = BEGIN;
    for n in 0..40 {
        disk.begin_step();
        file.append(next.block, &block(next, Some(n))).unwrap();
        assert!(disk.syncs() > 0, "append {n} returned without a sync");
        next = after(next, 1);
        let survivor = open(&disk.after_power_loss()).unwrap();
        assert_eq!(survivor.extent(&owner()).unwrap().end, next);
        for block in 0..=n {
            assert_eq!(survivor.read(block).unwrap().0.block, block);
        }
    }
}

#[test]
fn a_cut_at_any_write_loses_no_block_whose_append_returned() {
    let mut cuts = std::collections::BTreeSet::new();
    for seed in 0..SEEDS {
        let cut = cut_while_appending(seed, None);
        let found = cut.check(seed);
        assert_eq!(found, Ok(()), "seed {seed}, cut at {}", cut.at);
        cuts.insert(cut.at);
    }
    let every: Vec<u64> = (0..operations_of_all_appends()).collect();
    let missed: Vec<_> = every.iter().filter(|at| !cuts.contains(at)).collect();
    assert!(missed.is_empty(), "no seed cut at {missed:?} of {} writes and syncs", every.len());
}

#[test]
fn the_same_cuts_find_a_commit_without_any_of_its_syncs() {
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    disk.begin_step();
    file.append(0, &block(BEGIN, Some(0))).unwrap();
    let syncs = disk.syncs();
    assert!(syncs > 0);
    for sync in 1..=syncs {
        let is_noticed = |seed: &u64| {
            // redb may also panic on pages that never were together on a disk that keeps its promises.
            std::panic::catch_unwind(|| cut_while_appending(*seed, Some(sync)).check(*seed))
                .map_or(true, |result| result.is_err())
        };
        let found = (0..SEEDS_WITHOUT).filter(is_noticed).count();
        eprintln!(
            "without sync {sync} of {syncs} in an append: {found} of {SEEDS_WITHOUT} cuts lose a block"
        );
        assert!(found > 0, "no cut misses sync {sync}");
    }
}

#[test]
fn a_file_that_was_changed_since_it_was_closed_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = WalFile::create(root.path(), BEGIN, &owner(), CACHE_BYTES).unwrap();
    let bytes = block(BEGIN, Some(0));
    file.append(0, &bytes).unwrap();
    let path = file.path().to_owned();
    drop(file);
    assert!(WalFile::open_writable(&path, CACHE_BYTES).is_ok());
    let mut contents = std::fs::read(&path).unwrap();
    let at = contents.windows(bytes.len()).position(|window| window == bytes).unwrap();
    contents[at + bytes.len() / 2] ^= 1;
    std::fs::write(&path, contents).unwrap();
    let error = WalFile::open_writable(&path, CACHE_BYTES).unwrap_err().to_string();
    assert!(error.contains("cannot be opened"), "{error}");
}

/// Appending with the power going in between.
struct Cut {
    at: u64,
    /// Appends that had returned by then.
    acknowledged: u64,
    disk: ForgetfulDisk,
}

fn operations_of_all_appends() -> u64 {
    static OPERATIONS: OnceLock<u64> = OnceLock::new();
    *OPERATIONS.get_or_init(|| {
        let disk = ForgetfulDisk::default();
        let file = new_file(&disk);
        let before = disk.operations();
        append_all(&disk, &file, || {});
        disk.operations() - before
    })
}

fn append_all(disk: &ForgetfulDisk, file: &WalFile, mut returned: impl FnMut()) {
    let mut next = BEGIN;
    for n in 0..APPENDS {
        disk.begin_step();
        file.append(next.block, &block(next, Some(n))).unwrap();
        returned();
        next = after(next, 1);
    }
}

fn cut_while_appending(seed: u64, without: Option<usize>) -> Cut {
    let at = cut_of(seed, operations_of_all_appends());
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    disk.cut_at(at);
    disk.leave_out(without);
    let mut acknowledged = 0;
    append_all(&disk, &file, || acknowledged += u64::from(!disk.is_cut()));
    Cut { at, acknowledged, disk: disk.after_the_cut(seed) }
}

impl Cut {
    /// Whether what is left holds every acknowledged block, and takes further ones.
    fn check(&self, seed: u64) -> Result<(), String> {
        if seed.is_multiple_of(2) {
            // As one that is not the last: it is repaired, and then read only.
            let path = PathBuf::from(file_name(0));
            let file = WalFile::open_read_only_on(&self.disk, &path, CACHE_BYTES);
            self.check_blocks(&file.map_err(|error| error.to_string())?)?;
        }
        let file = open(&self.disk).map_err(|error| error.to_string())?;
        let end = self.check_blocks(&file)?;
        file.append(end.block, &block(end, Some(end.block))).map_err(|error| error.to_string())?;
        file.read(end.block).map(drop).map_err(|error| error.to_string())
    }

    fn check_blocks(&self, file: &WalFile) -> Result<Start, String> {
        let end = file.extent(&owner()).map_err(|error| error.to_string())?.end;
        // A block may be durable that nobody was told of, but only the one that was being written.
        if !(self.acknowledged..=self.acknowledged + 1).contains(&end.block) {
            return Err(format!("{} blocks, {} acknowledged", end.block, self.acknowledged));
        }
        let mut next = BEGIN;
        for n in 0..end.block {
            let (_, bytes) = file.read(n).map_err(|error| error.to_string())?;
            if bytes != block(next, Some(n)) {
                return Err(format!("block {n} is not what was appended"));
            }
            next = after(next, 1);
        }
        Ok(end)
    }
}
