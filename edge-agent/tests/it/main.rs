//! The edge as a process, with a hub that the test plays: what is promised to clients, across `kill -9`.

mod edge;
mod hub;
mod promises;
mod requests;
