//! The engine: libchdb opened at run time, one data directory, sessions that live for one statement.
//!
//! `library` holds the C functions and is the only module with unsafe code; `session` gives a statement its database and
//! settings and runs it. Invariant: a session is never used for a second request, because the engine keeps settings, the
//! current database and even the half-written output of a failed query in its connection, and the next statement on it
//! would see them. Opening one takes about 0.3 ms.

mod error;
mod library;
mod session;

pub(crate) use error::EngineError;
pub(crate) use library::{Library, Output};
pub(crate) use session::{Limits, Session, Statement, Work};
