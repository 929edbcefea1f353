//! The kills of a run: each with what was in hand, and how many by the victim's state.

use std::collections::BTreeMap;

use comfy_table::Table;

use super::victim::{Seen, State, Victim};

/// A kill that happened.
#[derive(Debug)]
pub(crate) struct Kill {
    pub(crate) victim: Victim,
    pub(crate) draws: u32,
    pub(crate) seen: Vec<Seen>,
}

/// All of a run.
#[derive(Debug, Default)]
pub(crate) struct Kills(Vec<Kill>);

impl Kills {
    pub(crate) fn push(&mut self, kill: Kill) {
        self.0.push(kill);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How often one process was killed.
    pub(crate) fn of(&self, victim: Victim) -> usize {
        self.0.iter().filter(|kill| kill.victim == victim).count()
    }

    /// How often a kind of victim was killed in a state.
    pub(crate) fn in_state(&self, kind: &str, state: State) -> usize {
        let of_kind = self.0.iter().filter(|kill| kill.victim.kind() == kind);
        of_kind.filter(|kill| kill.seen.iter().any(|seen| seen.state == state)).count()
    }

    /// The state of this victim's that was met least often so far.
    pub(crate) fn rarest_state(&self, victim: Victim) -> State {
        let rarest = victim.states().iter().min_by_key(|state| self.in_state(victim.kind(), **state));
        *rarest.expect("every victim has a state")
    }

    /// Victims, of those given, with a state in which none of their kind was killed.
    pub(crate) fn lacking(&self, victims: &[Victim]) -> Option<Victim> {
        let lacks = |victim: &Victim| {
            let kind = victim.kind();
            victim.states().iter().any(|state| self.in_state(kind, *state) == 0)
        };
        victims.iter().copied().find(lacks)
    }

    /// Every kill, then the counts by state.
    pub(crate) fn print(&self, victims: &[Victim]) {
        let mut each = Table::new();
        each.set_header(["killed", "draws", "work in hand"]);
        for Kill { victim, draws, seen } in &self.0 {
            let evidence: Vec<&str> = seen.iter().map(|seen| seen.evidence.as_str()).collect();
            each.add_row([victim.child(), &draws.to_string(), &evidence.join("; ")]);
        }
        let mut counts: BTreeMap<(&str, State), usize> = BTreeMap::new();
        for victim in victims {
            for state in victim.states() {
                counts.insert((victim.kind(), *state), self.in_state(victim.kind(), *state));
            }
        }
        let mut by_state = Table::new();
        by_state.set_header(["killed", "in the middle of", "kills"]);
        for ((kind, state), count) in counts {
            by_state.add_row([kind, state.name(), &count.to_string()]);
        }
        eprintln!("{each}\n{by_state}");
    }
}
