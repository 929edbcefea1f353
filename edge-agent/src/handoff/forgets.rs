//! Erasures on their way into the next block of a pipeline.
//!
//! In: the erasures of the configuration, whenever it changes; from processing, once, which of them have a mark in the WAL. Out: marks, taken
//! by the committer. Until processing has read all that the WAL held at the start nobody knows what is marked, and nothing is taken. Bounded
//! by what the configuration has. Invariant: an erasure is marked once; should it be again, processing passes it over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hit::Forget;
use hit::block;
use prost::Message as _;

/// Bytes of marks in a block; at the limit the next ones wait for the block after. One mark may go past it.
const BLOCK_BYTES: usize = 1 << 20;

/// What waits; shared by whoever follows the configuration, the committer and processing.
#[derive(Debug, Default)]
pub(crate) struct Forgets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Erasures of the configuration.
    wanted: usize,
    /// Those without a mark, by job: ids sort by time.
    waiting: BTreeMap<String, Forget>,
    /// Jobs whose marks lie in the WAL; `None`: not known yet.
    marked: Option<BTreeSet<String>>,
}

/// How many erasures of the configuration there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    /// Without a mark.
    waiting: usize,
    /// With one.
    marked: usize,
}

/// Marks for one block.
#[derive(Debug, Default)]
pub(crate) struct Taken(Vec<Forget>);

impl Forgets {
    /// These are the erasures of the configuration from now on.
    pub(crate) fn want(&self, wanted: Vec<Forget>) {
        let mut state = self.lock();
        let jobs: BTreeSet<&str> = wanted.iter().map(|forget| forget.job.as_str()).collect();
        if let Some(marked) = &mut state.marked {
            marked.retain(|job| jobs.contains(job.as_str()));
        }
        state.wanted = wanted.len();
        let State { waiting, marked, .. } = &mut *state;
        let is_marked = |job: &String| marked.as_ref().is_some_and(|marked| marked.contains(job));
        *waiting = wanted
            .into_iter()
            .filter(|forget| !is_marked(&forget.job))
            .map(|forget| (forget.job.clone(), forget))
            .collect();
    }

    /// These have their marks, and no others: all that the WAL held at the start is processed.
    pub(crate) fn are_marked<'a>(&self, jobs: impl Iterator<Item = &'a str>) {
        let mut state = self.lock();
        let marked: BTreeSet<String> = jobs.map(str::to_owned).collect();
        state.waiting.retain(|job, _| !marked.contains(job));
        state.marked = Some(marked);
    }

    /// Whether there is something to take.
    pub(crate) fn are_waiting(&self) -> bool {
        let state = self.lock();
        state.marked.is_some() && !state.waiting.is_empty()
    }

    /// Takes marks for a block, the oldest erasures first.
    pub(crate) fn take(&self) -> Taken {
        let mut state = self.lock();
        let State { waiting, marked: Some(marked), .. } = &mut *state else { return Taken::default() };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < BLOCK_BYTES
            && let Some((job, forget)) = waiting.pop_first()
        {
            bytes += forget.encoded_len();
            marked.insert(job);
            taken.push(forget);
        }
        Taken(taken)
    }

    /// Brings back what was taken for a block that was not written.
    pub(crate) fn put_back(&self, taken: Taken) {
        let mut state = self.lock();
        for forget in taken.0 {
            if let Some(marked) = &mut state.marked {
                marked.remove(&forget.job);
            }
            state.waiting.insert(forget.job.clone(), forget);
        }
    }

    /// For `/status`.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let waiting = state.waiting.len();
        Counts { waiting, marked: state.wanted.saturating_sub(waiting) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Appends them to an encoded `BlockBody`.
    pub(crate) fn push_to(&self, body: &mut Vec<u8>) {
        self.0.iter().for_each(|forget| block::push_forget(body, forget));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget(job: &str, visitors: usize) -> Forget {
        Forget { job: job.into(), property_id: "p_a".into(), visitor_ids: vec![1; visitors] }
    }

    fn jobs(taken: &Taken) -> Vec<&str> {
        taken.0.iter().map(|forget| forget.job.as_str()).collect()
    }

    #[test]
    fn nothing_is_marked_before_it_is_known_what_is() {
        let forgets = Forgets::default();
        forgets.want(vec![forget("e_1", 1), forget("e_2", 0)]);
        assert!(!forgets.are_waiting());
        assert_eq!(jobs(&forgets.take()), [""; 0]);
        forgets.are_marked(["e_0", "e_1"].into_iter());
        assert!(forgets.are_waiting());
        assert_eq!(jobs(&forgets.take()), ["e_2"]);
        assert!(!forgets.are_waiting());
        forgets.want(vec![forget("e_1", 1), forget("e_2", 0), forget("e_3", 2)]);
        assert_eq!(jobs(&forgets.take()), ["e_3"], "those before have their marks");
        assert_eq!(forgets.counts(), Counts { waiting: 0, marked: 3 });
        forgets.want(vec![forget("e_3", 2)]);
        assert_eq!(forgets.counts(), Counts { waiting: 0, marked: 1 }, "the configuration has no more");
    }

    #[test]
    fn what_is_marked_may_be_known_before_the_configuration_is() {
        let forgets = Forgets::default();
        forgets.are_marked(["e_1", "e_2"].into_iter());
        forgets.want(vec![forget("e_1", 1), forget("e_3", 0)]);
        assert_eq!(forgets.counts(), Counts { waiting: 1, marked: 1 });
        assert_eq!(jobs(&forgets.take()), ["e_3"]);
    }

    #[test]
    fn what_was_not_written_waits_on() {
        let forgets = Forgets::default();
        forgets.are_marked([].into_iter());
        forgets.want(vec![forget("e_1", 1)]);
        let taken = forgets.take();
        assert!(!forgets.are_waiting());
        forgets.put_back(taken);
        assert_eq!(jobs(&forgets.take()), ["e_1"]);
    }

    #[test]
    fn many_are_taken_in_parts() {
        let forgets = Forgets::default();
        forgets.are_marked([].into_iter());
        // 8 bytes for each visitor: two and a half of a block's.
        forgets.want((0..5).map(|n| forget(&format!("e_{n}"), 1 << 16)).collect());
        let parts: Vec<usize> = (0..4).map(|_| forgets.take().0.len()).collect();
        assert_eq!(parts, [2, 2, 1, 0]);
    }
}
