//! The binary as a whole: started on free ports with the real engine, spoken to by the official `clickhouse` crate.
//!
//! The engine library is found by `MERIDIAN_CHDB`, else where `make setup` puts it; without it every test fails and says so.

mod warehouse;
mod values;
mod inserts;
mod statements;
mod limits;
mod lifecycle;
