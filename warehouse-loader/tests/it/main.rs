//! Integration tests: the plan log on a store that fails, and the loader on the real engine.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy exempts test functions, not their helpers

mod support;
mod strace;
mod engine;
mod process;
mod sent;
mod simulated;
mod loading;
mod repair;
mod doubt;
mod window;
mod crash;
mod calls;
mod asleep;
mod void;
mod erase;
mod copied;
mod refused;
mod power;
