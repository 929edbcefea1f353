//! What processing books, compared with a naive reading of the definitions that shares no code with it.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions; these are their helpers

mod world;
mod oracle;
mod run;
mod rules;
mod generate;
mod bookings;
mod bites;
mod mixed;
