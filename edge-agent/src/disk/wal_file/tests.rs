//! What survives a loss of power: everything whose append returned, whatever the disk had not been told to keep.

use rand::RngExt;

use super::*;
use crate::disk::forgetful::{ForgetfulDisk, random};
use crate::fixture::{after, block, edge};

const BEGIN: Start = Start { block: 0, position: 0, received_at_ms: 0 };
const SEEDS: u64 = 1_000;
const APPENDS: u64 = 12;

fn owner() -> Owner {
    Owner { edge: edge(), epoch: hit::Epoch([3; 16]) }
}

/// As `open_writable`, on a disk of the test.
fn open(disk: &ForgetfulDisk) -> Result<WalFile, redb::DatabaseError> {
    let database = Builder::new()
        .set_cache_size(1 << 20)
        .set_check_integrity_on_open(true)
        .create_with_backend(disk.clone())?;
    Ok(WalFile { path: PathBuf::from(file_name(0)), handle: Handle::Writable(database) })
}

fn new_file(disk: &ForgetfulDisk) -> WalFile {
    let file = open(disk).unwrap();
    let Handle::Writable(database) = &file.handle else { unreachable!() };
    write_meta(database, BEGIN, &owner()).unwrap();
    file
}

#[test]
fn appended_blocks_survive_a_loss_of_power_after_each() {
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    let mut next = BEGIN;
    for n in 0..40 {
        let syncs = disk.syncs();
        file.append(next.block, &block(next, Some(n))).unwrap();
        assert!(disk.syncs() > syncs, "append {n} returned without a sync");
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
        let cut = cut_while_appending(seed, false);
        let found = cut.check();
        assert_eq!(found, Ok(()), "seed {seed}, cut at {}", cut.at);
        cuts.insert(cut.at);
    }
    let every: Vec<u64> = (0..operations_of_all_appends()).collect();
    let missed: Vec<_> = every.iter().filter(|at| !cuts.contains(at)).collect();
    assert!(missed.is_empty(), "no seed cut at {missed:?} of {} writes and syncs", every.len());
}

#[test]
fn the_same_cuts_find_a_commit_without_its_sync() {
    let found = (0..SEEDS).filter(|seed| cut_while_appending(*seed, true).check().is_err()).count();
    eprintln!("{found} of {SEEDS} cuts lose an acknowledged block when commits do not sync");
    assert!(found > 0);
}

/// Appending with the power going in between.
struct Cut {
    at: u64,
    /// Appends that had returned by then.
    acknowledged: u64,
    disk: ForgetfulDisk,
}

fn operations_of_all_appends() -> u64 {
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    let before = disk.operations();
    append_all(&file, || {});
    disk.operations() - before
}

fn append_all(file: &WalFile, mut returned: impl FnMut()) {
    let mut next = BEGIN;
    for n in 0..APPENDS {
        file.append(next.block, &block(next, Some(n))).unwrap();
        returned();
        next = after(next, 1);
    }
}

fn cut_while_appending(seed: u64, without_sync: bool) -> Cut {
    let operations = operations_of_all_appends();
    let mut random = random(seed);
    let disk = ForgetfulDisk::default();
    let file = new_file(&disk);
    // The first seeds cut at each write and sync once, the others anywhere.
    let at = if seed < operations { seed } else { random.random_range(0..operations) };
    disk.cut_at(at);
    if without_sync {
        disk.ignore_syncs();
    }
    let mut acknowledged = 0;
    append_all(&file, || acknowledged += u64::from(!disk.is_cut()));
    Cut { at, acknowledged, disk: disk.after_the_cut(&mut random) }
}

impl Cut {
    /// Whether what is left holds every acknowledged block, and takes further ones.
    fn check(&self) -> Result<(), String> {
        let file = open(&self.disk).map_err(|error| error.to_string())?;
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
        file.append(end.block, &block(end, Some(end.block))).map_err(|error| error.to_string())?;
        file.read(end.block).map(drop).map_err(|error| error.to_string())
    }
}
