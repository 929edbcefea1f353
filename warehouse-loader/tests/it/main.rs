//! Integration tests: the plan log on a store that fails, and the loader on the real engine.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy exempts test functions, not their helpers

mod support;
mod engine;
mod simulated;
mod loading;
mod repair;
mod doubt;
mod window;
mod crash;
mod copied;
