//! Decides which batches make the next plan, and what becomes of a plan that is found.
//!
//! In: the plan log and the newest checkpoint as they are read, batches as they are offered. Out: what to do next. The
//! logic is synchronous ([`Planner`], [`Ledger`], [`Selection`]); `crate::plan_log` reads and writes the objects.
//! Invariant: plan n + 1 is created, run or applied only when plan n is known to be done, or a checkpoint covers it.

pub mod ledger;
pub mod select;
pub mod planner;

pub use ledger::{Ledger, LedgerError};
pub use planner::{Action, Event, Planner, Progress};
pub use select::{Limits, Offer, Selection};
