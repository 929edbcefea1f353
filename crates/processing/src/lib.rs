//! From raw hits to rollup rows: a function of the blocks of one edge and epoch in WAL order, and of versioned rules.
//!
//! In: [`hit::Block`]s without a gap. Out: sealed rows of the minute tables, and the change of state that makes a
//! crash invisible. There is no clock (time is the blocks' `received_at_ms`), no randomness and no I/O in here, so
//! that a replay of the archive gives the same rows.
//!
//! A hit goes through the modules in their order; stages do not know each other, [`processor`] names them all:
//! `deduplicate → enrich → fold → recognise → sessionize → aggregate`, with `state` as what outlives a crash. `forget` knows
//! which erasures were applied to it.

pub mod limits;
pub mod totals;
pub mod handover;
pub mod deduplicate;
pub mod enrich;
pub mod fold;
pub mod recognise;
pub mod sessionize;
pub mod aggregate;
pub mod forget;
pub mod state;
pub mod processor;

pub use enrich::user_agent::{Detected, Detection, DetectionError};
pub use handover::{Client, DropReason, TrafficClass, TrafficReason};
pub use limits::Limits;
pub use processor::{ProcessError, Processor, Sealed};
pub use state::StateError;
pub use totals::{Gauges, Totals};
