//! The shell every service runs in: command line, configuration, logs, clock, tasks, shutdown, metrics, admin port.
//!
//! A service is a function `run(config, Context)`. Its `main.rs` hands that function to [`cli::main`]; `meridian dev`
//! calls several of them in one process, each with a [`Context::child`] of its own. So nothing here is global except
//! the log subscriber, which [`cli::main`] (or `meridian dev`) installs once.
//!
//! Invariant: a task that ends outside shutdown stops its service, and shutdown follows the data.

pub mod cli;
pub mod config;
pub mod clock;
pub mod bucket;
pub mod logs;
pub mod context;
pub mod signals;
pub mod tasks;
pub mod metrics;
pub mod admin;
pub mod status;
pub mod fail;
pub mod announce;

pub use announce::{event_line, ready_line};
pub use cli::ServiceConfig;
pub use clock::{Clock, SharedClock, SystemClock, TestClock};
pub use context::{Context, Readiness};
pub use tasks::TaskGroup;
