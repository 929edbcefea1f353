//! The state machine of one plan log.
//!
//! In: what was read or done ([`Event`]), with the time. Out: what to do next ([`Action`]); the same action is given again
//! until an event answers it, so a step that failed is simply repeated. Invariants: a plan runs only after the newest
//! checkpoint was read and lies below it; a plan that another loader made is taken over only when `done` is late.

use crate::document::{Checkpoint, Plan};
use crate::plan::ledger::{Ledger, LedgerError};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read plan `n` and whether it is done.
    Look {
        /// The number.
        n: u64,
    },
    /// Another loader is at plan `n`: wait until then (monotonic ms), then look again.
    WaitForDone {
        /// The number.
        n: u64,
        /// When it is late.
        until_ms: u64,
    },
    /// There is no plan `n`: select batches and create it.
    Choose {
        /// The number.
        n: u64,
    },
    /// Read the newest checkpoint: is plan `n` void?
    CheckVoid {
        /// The number.
        n: u64,
    },
    /// Send the plan's INSERTs; compare afterwards if `verify` or an answer was not clean.
    Run {
        /// The plan.
        plan: Box<Plan>,
        /// It may have been run before, in part.
        verify: bool,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Plan `next` is not there.
    Absent,
    /// Plan `next` is there.
    Found {
        /// The plan.
        plan: Box<Plan>,
        /// Whether it is done.
        done: bool,
    },
    /// Our plan is in the log.
    Created(Box<Plan>),
    /// The create was refused, failed or timed out: nobody knows whose plan is there.
    CreateUnclear,
    /// The newest checkpoint, if there is one.
    Checkpoint(Option<Box<Checkpoint>>),
    /// The plan that was to run is done.
    Done,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was loaded by it.
    None,
    /// A plan is done; the ledger has moved.
    Applied(Box<Plan>),
    /// Others are further: the ledger was replaced by a checkpoint's.
    Jumped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// `foreign_since_ms`: when plan `next` was first seen without done, if it was.
    Look {
        foreign_since_ms: Option<u64>,
    },
    Foreign {
        since_ms: u64,
    },
    Choose,
    CheckVoid {
        plan: Box<Plan>,
        verify: bool,
    },
    Run {
        plan: Box<Plan>,
        verify: bool,
    },
}

const LOOK: State = State::Look { foreign_since_ms: None };

/// The machine.
#[derive(Debug)]
pub struct Planner {
    loader: String,
    takeover_ms: u64,
    ledger: Ledger,
    state: State,
}

impl Planner {
    /// Goes on from `ledger`. `takeover_ms`: when another loader's plan counts as late.
    pub fn new(loader: String, takeover_ms: u64, ledger: Ledger) -> Self {
        Self { loader, takeover_ms, ledger, state: LOOK }
    }

    /// What is loaded.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What to do next.
    pub fn action(&self) -> Action {
        let n = self.ledger.next();
        match &self.state {
            State::Look { .. } => Action::Look { n },
            State::Foreign { since_ms } => {
                Action::WaitForDone { n, until_ms: since_ms.saturating_add(self.takeover_ms) }
            }
            State::Choose => Action::Choose { n },
            State::CheckVoid { .. } => Action::CheckVoid { n },
            State::Run { plan, verify } => Action::Run { plan: plan.clone(), verify: *verify },
        }
    }

    /// Time has passed, or there was nothing to choose: look again.
    pub fn on_waited(&mut self) {
        match self.state {
            State::Foreign { since_ms } => self.state = State::Look { foreign_since_ms: Some(since_ms) },
            State::Choose => self.state = LOOK,
            State::Look { .. } | State::CheckVoid { .. } | State::Run { .. } => {}
        }
    }

    /// Takes note of what happened. `now_ms` is monotonic.
    ///
    /// # Errors
    /// When the log contradicts what is loaded; the state stays, so that looking again after a repair by hand works.
    pub fn on_event(&mut self, event: Event, now_ms: u64) -> Result<Progress, LedgerError> {
        match (event, std::mem::replace(&mut self.state, LOOK)) {
            (Event::Absent, _) => self.state = State::Choose,
            (Event::Found { plan, done: true }, _) => {
                self.ledger.apply(&plan)?;
                return Ok(Progress::Applied(plan));
            }
            (Event::Found { plan, done: false }, before) => {
                self.ledger.check(&plan)?;
                self.state = self.on_foreign(plan, &before, now_ms);
            }
            (Event::Created(plan), _) => {
                self.ledger.check(&plan)?;
                self.state = State::CheckVoid { plan, verify: false };
            }
            (Event::CreateUnclear, _) => {}
            (Event::Checkpoint(checkpoint), State::CheckVoid { plan, verify }) => match checkpoint {
                Some(checkpoint) if checkpoint.n >= plan.n => {
                    self.ledger = Ledger::from_checkpoint(&checkpoint);
                    return Ok(Progress::Jumped);
                }
                _ => self.state = State::Run { plan, verify },
            },
            (Event::Done, State::Run { plan, .. }) => {
                self.ledger.apply(&plan)?;
                return Ok(Progress::Applied(plan));
            }
            // The plan that was looked for may be absent because others are so far that it is retired.
            (Event::Checkpoint(checkpoint), State::Choose) => match checkpoint {
                Some(checkpoint) if checkpoint.n >= self.ledger.next() => {
                    self.ledger = Ledger::from_checkpoint(&checkpoint);
                    return Ok(Progress::Jumped);
                }
                _ => self.state = State::Choose,
            },
            (event @ (Event::Checkpoint(_) | Event::Done), before) => {
                tracing::debug!(?event, "not what was asked for");
                self.state = before;
            }
        }
        Ok(Progress::None)
    }

    /// A plan without done: ours is run at once (this loader died over it, or its create was unclear), another's when late.
    fn on_foreign(&self, plan: Box<Plan>, before: &State, now_ms: u64) -> State {
        let since_ms = match before {
            State::Look { foreign_since_ms: Some(since_ms) } => *since_ms,
            _ => now_ms,
        };
        if plan.created_by == self.loader || now_ms >= since_ms.saturating_add(self.takeover_ms) {
            State::CheckVoid { plan, verify: true }
        } else {
            State::Foreign { since_ms }
        }
    }
}

#[cfg(test)]
mod tests;
