//! Integration tests: the plan log on a store that fails, and the loader on the real engine.

mod support;
mod engine;
mod simulated;
mod loading;
mod repair;
mod crash;
