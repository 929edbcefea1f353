//! Cuts the power at every event, without each sync in turn, and after a kill and a new start.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::Check;
use crate::disk::Disk;
use crate::log::{Event, Log, Point};
use crate::record::{record, recorded_root};
use crate::survivors::{lay_out, survive};
use crate::table::{Row, Table};

/// How many times more cuts there are in the long variant.
const LONGER: u64 = 10;
/// Cuts at first without one sync; as many again until a loss is noticed or [`CUTS_MAX`] is reached.
const CUTS_WITHOUT: u64 = 20;
/// Cuts without one sync before it is taken to be needless, if nothing was killed before.
const CUTS_MAX: u64 = 1_000;
/// Cuts without syncs that are said to be needless.
const CUTS_SAID: u64 = 100;
/// Cuts after each kill and new start, with all syncs and without one.
const CUTS_AFTER_START: u64 = 16;

/// Work of production's code, and what must be left of it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Path of the test that calls [`Case::prove`]: it is run again as the process that is recorded.
    pub test: &'static str,
    /// Does the work in an empty directory, or goes on with what a killed process has left there.
    pub work: fn(root: &Path),
    /// Opens what is left with production's own functions.
    pub check: Check,
    /// Cuts with all syncs in place, the first at each event.
    pub seeds: u64,
    /// Kinds of syncs, as the table calls them, of which some may be left out because the others do their work; and why.
    /// Without all of them something must be lost.
    pub covered: &'static [(&'static str, &'static str)],
    /// Kinds of syncs that may be left out altogether, and why.
    pub needless: &'static [(&'static str, &'static str)],
}

/// One loss of power.
#[derive(Debug, Clone, Copy)]
struct Cut<'a> {
    log: &'a Log,
    at: usize,
    seed: u64,
    /// Points whose syncs do nothing.
    without: &'a [usize],
}

impl Case {
    /// Proves that the check holds wherever the power goes, and fails when any sync is left out that is not in `needless`.
    ///
    /// # Panics
    /// When that is not so.
    #[allow(clippy::panic)] // it is the body of a test
    pub fn prove(&self) {
        if let Some(root) = recorded_root() {
            return (self.work)(&root);
        }
        match self.examine() {
            Ok(table) => eprintln!("{table}"),
            Err(wrong) => panic!("{wrong}"),
        }
    }

    pub(crate) fn examine(&self) -> Result<Table, String> {
        let log = self.begin();
        let starts = self.start_again(&log);
        let cuts = self.cut_everywhere(&log)?;
        starts.iter().try_for_each(|start| self.cut_after_start(start, log.points.len()))?;
        self.leave_out_each(&log, &starts, &cuts)
    }

    #[allow(clippy::unwrap_used)]
    fn begin(&self) -> Log {
        let mut log = Log::new();
        let root = directory();
        record(&mut log, self.test, root.path()).unwrap();
        same_as_seen(&log, root.path());
        log
    }

    /// The work killed before each sync, and begun again on what other processes see then.
    #[allow(clippy::unwrap_used)]
    fn start_again(&self, log: &Log) -> Vec<Log> {
        let firsts: Vec<usize> =
            (0..log.points.len()).filter_map(|point| log.syncs(point).first().copied()).collect();
        side_by_side(&firsts, |kill| {
            let mut again = log.clone();
            again.events.truncate(*kill);
            let root = directory();
            lay_out(&Disk::seen(log, *kill), root.path()).unwrap();
            record(&mut again, self.test, root.path()).unwrap();
            same_as_seen(&again, root.path());
            again.started_at = *kill;
            again
        })
    }

    /// Where the power went, and how often.
    fn cut_everywhere(&self, log: &Log) -> Result<BTreeMap<usize, u64>, String> {
        let events = u64::try_from(log.events.len()).unwrap_or(u64::MAX);
        let long = std::env::var_os("MERIDIAN_TEST_LONG").is_some_and(|long| long == "1");
        let seeds = if long { self.seeds * LONGER } else { self.seeds };
        let cuts: Vec<Cut<'_>> = (0..seeds.max(events + 1))
            .map(|seed| {
                let random = StdRng::seed_from_u64(seed).random_range(0..=events);
                let at = if seed <= events { seed } else { random };
                Cut { log, at: usize::try_from(at).unwrap_or(usize::MAX), seed, without: &[] }
            })
            .collect();
        self.expect_no_loss(&cuts)?;
        let mut counts = BTreeMap::new();
        for cut in &cuts {
            *counts.entry(cut.at).or_default() += 1;
        }
        Ok(counts)
    }

    /// Also right before and after each sync that is made only then: those from the point `new` on.
    fn cut_after_start(&self, log: &Log, new: usize) -> Result<(), String> {
        let made_only_then = (new..log.points.len()).flat_map(|point| log.syncs(point));
        let at_them = made_only_then.flat_map(|sync| [sync, sync + 1]);
        let anywhere = (0..CUTS_AFTER_START).map(|seed| after(log, log.started_at, seed));
        let cuts: Vec<Cut<'_>> =
            at_them.chain(anywhere).zip(0..).map(|(at, seed)| Cut { log, at, seed, without: &[] }).collect();
        self.expect_no_loss(&cuts)
    }

    fn expect_no_loss(&self, cuts: &[Cut<'_>]) -> Result<(), String> {
        let losses = side_by_side(cuts, |cut| self.judge(*cut).err().map(|loss| (*cut, loss)));
        let Some((cut, loss)) = losses.into_iter().flatten().next() else { return Ok(()) };
        let before: Vec<_> = cut.log.events.iter().take(cut.at).rev().take(12).map(brief).collect();
        Err(format!(
            "seed {}, cut at event {} (begun again at {}): {loss}\nthe last events, backwards: {before:#?}",
            cut.seed, cut.at, cut.log.started_at
        ))
    }

    /// Whether what one loss of power leaves passes the check.
    fn judge(&self, cut: Cut<'_>) -> Result<(), String> {
        let mut random = StdRng::seed_from_u64(cut.seed ^ 0x5EED);
        let disk = survive(Disk::at(cut.log, cut.at, cut.without), &mut random);
        let root = directory();
        lay_out(&disk, root.path()).map_err(|error| format!("cannot be laid out: {error}"))?;
        let acknowledged = cut.log.acknowledged(cut.at);
        // A database may panic on pages that no disk which keeps its promises would give it.
        catch_unwind(AssertUnwindSafe(|| (self.check)(root.path(), &acknowledged)))
            .unwrap_or_else(|_| Err("the check panicked".into()))
    }

    /// The table of all syncs. Each must be missed, for itself or with the others of its kind, or be said to be needless.
    fn leave_out_each(
        &self,
        log: &Log,
        starts: &[Log],
        cuts: &BTreeMap<usize, u64>,
    ) -> Result<Table, String> {
        let mut points: BTreeSet<&Point> = log.points.iter().collect();
        points.extend(starts.iter().flat_map(|start| &start.points));
        let logs: Vec<&Log> = std::iter::once(log).chain(starts).collect();
        let (mut table, mut wrong) = (Table::default(), Vec::new());
        for point in &points {
            let said = said(self.covered, point).or(said(self.needless, point));
            let mut row = Row { name: point.to_string(), reason: said, ..Row::default() };
            row.cuts = match log.points.iter().position(|known| known == *point) {
                Some(known) => {
                    let around = log.syncs(known).into_iter().flat_map(|at| [at, at + 1]);
                    around.filter_map(|at| cuts.get(&at)).sum()
                }
                None => starts.iter().map(|start| 2 * start.syncs_of(point)).sum(),
            };
            if said.is_some() {
                self.leave_out(log, |other| other == *point, CUTS_SAID, &mut row);
            } else {
                self.leave_out_anywhere(&logs, |other| other == *point, CUTS_MAX, &mut row);
            }
            if row.cuts == 0 {
                wrong.push(format!("{} is never cut", row.name));
            }
            if row.losses == 0 && said.is_none() {
                wrong.push(format!("{} is not missed", row.name));
            }
            table.rows.push(row);
        }
        for (kinds, most, is_missed) in [(self.covered, CUTS_MAX, true), (self.needless, CUTS_SAID, false)] {
            for (kind, reason) in kinds {
                let mut row = Row { name: format!("{kind}, all"), reason: Some(reason), ..Row::default() };
                self.leave_out_anywhere(&logs, |point| point.group() == *kind, most, &mut row);
                if row.tried == 0 || (row.losses > 0) != is_missed {
                    wrong.push(format!("{}: {} of {} lost something", row.name, row.losses, row.tried));
                }
                table.rows.push(row);
            }
        }
        if wrong.is_empty() { Ok(table) } else { Err(format!("{table}\nnot as said: {wrong:#?}")) }
    }

    fn leave_out_anywhere(&self, logs: &[&Log], is_out: impl Fn(&Point) -> bool, most: u64, row: &mut Row) {
        for log in logs {
            // A kill and a new start are looked at less closely: there are many of them.
            let most = if log.started_at == 0 { most } else { CUTS_AFTER_START };
            self.leave_out(log, &is_out, most, row);
            if row.losses > 0 {
                return;
            }
        }
    }

    fn leave_out(&self, log: &Log, is_out: impl Fn(&Point) -> bool, most: u64, row: &mut Row) {
        let points = || log.points.iter().enumerate();
        let without: Vec<usize> =
            points().filter(|(_, point)| is_out(point)).map(|(index, _)| index).collect();
        let syncs: Vec<usize> = without.iter().flat_map(|point| log.syncs(*point)).collect();
        let syncs: Vec<usize> = syncs.into_iter().filter(|at| *at >= log.started_at).collect();
        let Some(count) = u64::try_from(syncs.len()).ok().filter(|count| *count > 0) else { return };
        let mut seed = 0;
        while row.losses == 0 && seed < most {
            let end = most.min(seed + CUTS_WITHOUT);
            let cuts: Vec<Cut<'_>> = (seed..end)
                .map(|seed| {
                    let sync = syncs[usize::try_from(seed % count).unwrap_or(0)];
                    Cut { log, at: after(log, sync + 1, seed), seed, without: &without }
                })
                .collect();
            let losses = side_by_side(&cuts, |cut| self.judge(*cut).is_err());
            row.tried += end - seed;
            row.losses += u64::try_from(losses.iter().filter(|lost| **lost).count()).unwrap_or(0);
            seed = end;
        }
    }
}

/// What is said of a point's kind.
fn said(kinds: &'static [(&str, &str)], point: &Point) -> Option<&'static str> {
    kinds.iter().find(|(kind, _)| *kind == point.group()).map(|(_, why)| *why)
}

/// A cut behind `from`: right behind one of the next acknowledgements, before the next sync of the same file, a few
/// events on, or anywhere.
fn after(log: &Log, from: usize, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed ^ 0xC07);
    let from = from.min(log.events.len());
    let left = log.events.len() - from;
    let acknowledged = |event: &Event| matches!(event, Event::Acknowledged(_));
    let ends: Vec<usize> = (from..log.events.len())
        .filter(|at| log.events.get(*at).is_some_and(acknowledged))
        .map(|at| at + 1)
        .collect();
    let same = |event: &Event| match (event, from.checked_sub(1).and_then(|before| log.events.get(before))) {
        (Event::Sync { inode, .. }, Some(Event::Sync { inode: synced, .. })) => inode == synced,
        _ => false,
    };
    let near = if random.random_range(0..2) == 0 { ends.len().min(3) } else { ends.len() };
    match (
        random.random_range(0..5),
        (from..log.events.len()).find(|at| log.events.get(*at).is_some_and(same)),
    ) {
        (0, _) if !ends.is_empty() => ends[random.random_range(0..near)],
        (1 | 2, Some(next)) => next,
        (3, _) => from + random.random_range(0..=left.min(12)),
        _ => from + random.random_range(0..=left),
    }
}

/// Work on each item, on as many threads as there are cores; the results in the order of the items.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A new directory; in memory where there is one, for each is thrown away within milliseconds.
#[allow(clippy::unwrap_used)]
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The model has seen everything: its tree is the one that the process left.
#[allow(clippy::unwrap_used)]
fn same_as_seen(log: &Log, root: &Path) {
    let model = directory();
    lay_out(&Disk::seen(log, log.events.len()), model.path()).unwrap();
    assert_eq!(tree(model.path()), tree(root), "the model has missed a change");
}

/// Paths, lengths and checksums.
#[allow(clippy::unwrap_used)]
fn tree(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else {
                found.insert(name, Some(std::fs::read(path).unwrap()));
            }
        }
    }
    found
}

fn brief(event: &Event) -> String {
    match event {
        Event::Write { file, at, bytes } => format!("write {} bytes at {at} of inode {file}", bytes.len()),
        other => format!("{other:?}"),
    }
}
