//! The whole system as its users meet it: the real `meridian`, the real services, the real engine.
//!
//! Each test starts `meridian dev` in a directory of its own and talks to it over its ports, its commands and signals.
//! Expected values come from outside: a script of its own (`tests/access-log/oracle.py`), the client's own count, facts
//! of the time zone database. One system runs at a time, however many threads the test runner has.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy's exemption for tests does not reach helper functions

mod system;
mod oracle;
mod access_log;
mod traffic;
mod kill;
mod crash;
mod repeats;
mod changes;
mod rules;
mod refused;
mod quotas;
mod commands;
mod organisations;
mod apply;
mod zones;
mod midnight;
mod load;
mod clients;
mod tail;
mod proxy;
mod distribution;
mod erasure;
mod salts;
