//! What a loss of power leaves of flushes and acks: each as a whole or not at all, and each that returned.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::tests::flush;
use super::*;
use crate::disk::forgetful::{ForgetfulDisk, cut_of};
use crate::fixture::edge;

const SEEDS: u64 = 1_000;
/// Without one sync of each transaction.
const SEEDS_WITHOUT: u64 = 250;
const EPOCH: Epoch = Epoch([7; 16]);

#[derive(Debug, Clone, Copy)]
enum Step {
    Flush(u64),
    Checkpoint(u64),
    Ack(Lane, u64),
}

const STEPS: [Step; 10] = [
    Step::Flush(1),
    Step::Flush(2),
    Step::Ack(Lane::Rollup, 1),
    Step::Flush(3),
    Step::Ack(Lane::Raw, 2),
    Step::Checkpoint(4),
    Step::Ack(Lane::Raw, 1),
    Step::Ack(Lane::Rollup, 3),
    Step::Flush(5),
    Step::Ack(Lane::Rollup, 2),
];

/// What the store must hold after some steps.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Model {
    flushed: u64,
    checkpoint: Option<u64>,
    changes: Vec<u64>,
    rollup: BTreeSet<u64>,
    raw: BTreeSet<u64>,
    delivered: u64,
}

impl Model {
    fn after(steps: &[Step]) -> Self {
        let mut model = Self::default();
        for step in steps {
            match *step {
                Step::Flush(seq) | Step::Checkpoint(seq) => {
                    model.flushed = seq;
                    model.rollup.insert(seq);
                    model.raw.insert(seq);
                    if matches!(step, Step::Flush(_)) {
                        model.changes.push(seq);
                    } else {
                        model.checkpoint = Some(seq);
                        model.changes.clear();
                    }
                }
                Step::Ack(Lane::Rollup, seq) => {
                    model.rollup.remove(&seq);
                    // Each flush of these tests counts nine hits.
                    model.delivered += 9;
                }
                Step::Ack(_, seq) => drop(model.raw.remove(&seq)),
            }
        }
        model
    }

    fn of(store: &StateStore) -> Result<Self, StateError> {
        let (state, outbox) = (store.load_state()?, store.load_outbox()?);
        let number = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).parse().unwrap_or(u64::MAX);
        Ok(Self {
            flushed: store.load_progress()?.rollup_seq,
            checkpoint: state.checkpoint.as_ref().map(number),
            changes: state.changes.iter().map(number).collect(),
            rollup: outbox.rollup.into_keys().collect(),
            raw: outbox.raw.into_keys().collect(),
            delivered: outbox.delivered,
        })
    }
}

/// The path that errors name.
fn path() -> &'static Path {
    Path::new("state.redb")
}

fn open(disk: &ForgetfulDisk) -> Result<StateStore, StateError> {
    StateStore::open_on(disk, path(), &edge(), 1 << 20)
}

fn new_store(disk: &ForgetfulDisk) -> StateStore {
    drop(new_database(disk, &edge(), EPOCH, 1 << 20).unwrap());
    open(disk).unwrap()
}

fn take(store: &StateStore, step: Step) -> Result<(), StateError> {
    let text = |seq: u64| seq.to_string().into_bytes();
    match step {
        Step::Flush(seq) => store.flush(&flush(EPOCH, seq, StateWrite::Change(text(seq)))),
        Step::Checkpoint(seq) => store.flush(&flush(EPOCH, seq, StateWrite::Checkpoint(text(seq)))),
        Step::Ack(lane, seq) => store.acknowledge(&[(lane, seq)]).map(drop),
    }
}

/// Writes and syncs that all steps take.
fn operations() -> u64 {
    static OPERATIONS: OnceLock<u64> = OnceLock::new();
    *OPERATIONS.get_or_init(|| {
        let disk = ForgetfulDisk::default();
        let store = new_store(&disk);
        let before = disk.operations();
        STEPS.iter().for_each(|step| take(&store, *step).unwrap());
        disk.operations() - before
    })
}

/// Takes all steps while the power goes in between; gives where, how many had returned, and what is left.
fn cut(seed: u64, without: Option<usize>) -> (u64, usize, ForgetfulDisk) {
    let at = cut_of(seed, operations());
    let disk = ForgetfulDisk::default();
    let store = new_store(&disk);
    disk.cut_at(at);
    disk.leave_out(without);
    let mut returned = 0;
    for step in STEPS {
        disk.begin_step();
        take(&store, step).unwrap();
        returned += usize::from(!disk.is_cut());
    }
    (at, returned, disk.after_the_cut(seed))
}

fn check(disk: &ForgetfulDisk, returned: usize) -> Result<(), String> {
    let store = open(disk).map_err(|error| error.to_string())?;
    let found = Model::of(&store).map_err(|error| error.to_string())?;
    let taken =
        (returned..=returned + 1).find(|taken| STEPS.get(..*taken).map(Model::after) == Some(found.clone()));
    let Some(taken) = taken else {
        return Err(format!("{returned} steps had returned, and it holds {found:?}"));
    };
    // It goes on from there.
    STEPS.iter().skip(taken).try_for_each(|step| take(&store, *step)).map_err(|error| error.to_string())?;
    match Model::of(&store) {
        Ok(end) if end == Model::after(&STEPS) => Ok(()),
        other => Err(format!("after all steps it holds {other:?}")),
    }
}

#[test]
fn a_cut_at_any_write_leaves_whole_flushes_and_acks() {
    let mut cuts = BTreeSet::new();
    for seed in 0..SEEDS {
        let (at, returned, disk) = cut(seed, None);
        assert_eq!(check(&disk, returned), Ok(()), "seed {seed}, cut at {at}");
        cuts.insert(at);
    }
    let missed: Vec<u64> = (0..operations()).filter(|at| !cuts.contains(at)).collect();
    assert!(missed.is_empty(), "no seed cut at {missed:?}");
}

#[test]
fn the_same_cuts_find_a_flush_or_ack_without_any_of_its_syncs() {
    let disk = ForgetfulDisk::default();
    let store = new_store(&disk);
    disk.begin_step();
    take(&store, Step::Flush(1)).unwrap();
    let syncs = disk.syncs();
    assert!(syncs > 1, "a commit in two phases syncs twice");
    for sync in 1..=syncs {
        let is_noticed = |seed: &u64| {
            // redb may also panic on pages that never were together on a disk that keeps its promises.
            let result = std::panic::catch_unwind(|| {
                let (_, returned, disk) = cut(*seed, Some(sync));
                check(&disk, returned)
            });
            result.map_or(true, |result| result.is_err())
        };
        let found = (0..SEEDS_WITHOUT).filter(is_noticed).count();
        eprintln!(
            "without sync {sync} of {syncs} in a transaction: {found} of {SEEDS_WITHOUT} cuts lose something"
        );
        assert!(found > 0, "no cut misses sync {sync}");
    }
}

/// Whether redb walks the file when it opens what a cut has left.
fn is_walked(disk: &ForgetfulDisk) -> bool {
    let walked = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&walked);
    let mut builder = Builder::new();
    builder.set_repair_callback(move |_| told.store(true, Ordering::Relaxed));
    drop(disk.open(&builder).unwrap());
    walked.load(Ordering::Relaxed)
}

#[test]
fn a_loss_of_power_never_means_walking_the_whole_file() {
    for seed in 0..100 {
        let (at, _, disk) = cut(seed, None);
        assert!(!is_walked(&disk), "seed {seed}, cut at {at}");
    }
    // A plain transaction, for comparison.
    let disk = ForgetfulDisk::default();
    let store = new_store(&disk);
    let transaction = store.database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("edge", b"x".as_slice()).unwrap();
    transaction.commit().unwrap();
    assert!(is_walked(&disk.after_power_loss()));
}
