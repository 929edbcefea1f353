//! The edge as a process, with a hub that the test plays: what is promised to clients, across `kill -9`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod edge;
mod hub;
mod configure;
mod salts;
mod promises;
mod restart;
mod names;
mod connections;
mod client;
mod tls;
mod shutdown;
mod requests;
mod foreign;
mod refused;
mod quotas;
mod privacy;
mod regions;
mod erasures;
mod tracker;
mod places;
