//! The wheel against a sorted set.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u64),
    /// Which of those in it.
    Remove(usize),
    /// The time of one goes on without the wheel being told.
    Prolong(usize, u64),
    Until(u64),
}

fn time() -> impl Strategy<Value = u64> {
    // Equal times, neighbours, other buckets, and the end of time.
    prop_oneof![0..4_u64, 0..200_000_u64, (0..4_u64).prop_map(|back| u64::MAX - back)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => time().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), 0..100_000_u64).prop_map(|(which, by)| Step::Prolong(which, by)),
        2 => time().prop_map(Step::Until),
    ]
}

/// Slots with the time they were put in with, and the time they stand for now.
#[derive(Default)]
struct Model {
    slots: HashMap<u32, (Entry, u64)>,
}

impl Model {
    fn pick(&self, which: usize) -> Option<u32> {
        let mut slots: Vec<u32> = self.slots.keys().copied().collect();
        slots.sort_unstable();
        slots.get(which.checked_rem(slots.len())?).copied()
    }
}

proptest! {
    #[test]
    fn order_is_that_of_time_and_number(steps in prop::collection::vec(step(), 1..80)) {
        let (mut wheel, mut model) = (Wheel::default(), Model::default());
        for (slot, step) in (0_u32..).zip(steps) {
            match step {
                Step::Insert(at_ms) => {
                    // Later numbers have lower slots, so that slots cannot decide in their place.
                    let entry = Entry { at_ms, number: u64::from(slot), slot: 1_000 - slot };
                    wheel.insert(entry);
                    model.slots.insert(entry.slot, (entry, at_ms));
                }
                Step::Remove(which) => {
                    if let Some((entry, _)) = model.pick(which).and_then(|slot| model.slots.remove(&slot)) {
                        wheel.remove(entry);
                    }
                }
                Step::Prolong(which, by) => {
                    if let Some(slot) = model.pick(which) {
                        let known = model.slots.get_mut(&slot).unwrap();
                        known.1 = known.1.saturating_add(by);
                    }
                }
                Step::Until(until_ms) => {
                    let mut popped = Vec::new();
                    loop {
                        let refile = |slot: u32| {
                            let known = model.slots.get_mut(&slot).unwrap();
                            known.0.at_ms = known.1;
                            Some(known.0)
                        };
                        let Some(entry) = wheel.first(until_ms, refile) else { break };
                        wheel.remove(entry);
                        let known = model.slots.get_mut(&entry.slot).unwrap();
                        prop_assert_eq!(known.0, entry);
                        if known.1 == entry.at_ms {
                            popped.push((entry.at_ms, entry.number));
                            model.slots.remove(&entry.slot);
                        } else {
                            known.0.at_ms = known.1;
                            wheel.insert(known.0);
                        }
                    }
                    let mut sorted = popped.clone();
                    sorted.sort_unstable();
                    prop_assert_eq!(popped, sorted);
                    prop_assert!(model.slots.values().all(|(_, at_ms)| *at_ms > until_ms));
                }
            }
        }
    }
}
