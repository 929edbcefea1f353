//! What services leave on disk and in tables while they are in the middle of something.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::victim::Scene;
use crate::system::System;

/// Files and folders that are there only while something is being written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Traces<'a> {
    /// Segments of the hub with this id: the object store writes beside the name and links or renames.
    Segments(&'a str),
    /// Parts of the engine's tables: folders whose names begin so until they are complete.
    Parts(&'a str),
}

impl Traces<'_> {
    /// Those that no earlier kill left behind, as a sentence.
    pub(super) fn fresh(self, scene: &Scene<'_>) -> Option<String> {
        let fresh: Vec<PathBuf> =
            self.all(scene.system).into_iter().filter(|path| !scene.leftovers.contains(path)).collect();
        let name = fresh.first()?.file_name()?.to_string_lossy().into_owned();
        Some(format!("{name} and {} others half written", fresh.len() - 1))
    }

    /// Looks without a pause until there is one, so that its writer can be stopped in time.
    pub(super) fn watch(self, scene: &Scene<'_>, at_most: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < at_most {
            if self.fresh(scene).is_some() {
                return true;
            }
        }
        false
    }

    /// All that are there.
    fn all(self, system: &System) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        match self {
            Self::Segments(hub) => {
                let of_hub = format!("-{hub}-");
                walk(&system.data().join("store/segments"), 1, &mut |path, name| {
                    if name.contains(&of_hub) && name.contains(".seg#") {
                        found.insert(path.to_owned());
                    }
                });
            }
            Self::Parts(prefix) => {
                walk(&system.data().join("warehouse"), 5, &mut |path, name| {
                    if name.starts_with(prefix) {
                        found.insert(path.to_owned());
                    }
                });
            }
        }
        found
    }
}

/// Everything that is half written now: nobody's work in hand any more once its writer was killed.
pub(super) fn half_written(system: &System) -> BTreeSet<PathBuf> {
    let all = [
        Traces::Segments("hub-1"),
        Traces::Segments("hub-2"),
        Traces::Parts("tmp_insert_"),
        Traces::Parts("tmp_merge_"),
    ];
    all.iter().flat_map(|traces| traces.all(system)).collect()
}

/// Shows every entry of a folder and of those in it, so many levels down. What vanishes meanwhile is left out.
fn walk(folder: &Path, levels: u8, visit: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        visit(&path, &entry.file_name().to_string_lossy());
        if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, levels - 1, visit);
        }
    }
}

/// Number and file of the newest plan.
pub(super) fn newest_plan(system: &System) -> Option<(u64, PathBuf)> {
    let folder = system.data().join("store/plans/0");
    let numbered = std::fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()?;
        Some((number, entry.path()))
    });
    numbered.max()
}

/// Minute rows that bear this plan's number.
pub(super) fn rows_of_plan(system: &System, plan: u64) -> Option<u64> {
    let listen = system.configuration("warehouse")["listen"].as_str()?.to_owned();
    let tables = ["hit_rollup", "session_rollup"];
    let count = |table| {
        let query = format!("SELECT+count()+FROM+meridian.{table}+WHERE+plan={plan}+FORMAT+TSV");
        let answer = system.get(&format!("http://{listen}/?query={query}")).ok()?;
        std::str::from_utf8(&answer.body).ok()?.trim().parse::<u64>().ok()
    };
    tables.into_iter().map(count).sum()
}
