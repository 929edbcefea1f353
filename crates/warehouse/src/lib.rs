//! The warehouse as loader and api see it: tables, numbered migrations, row types, client and settings.
//!
//! In: a [`WarehouseConfig`]. Out: a `clickhouse::Client` for one database, tables that exist, and errors that say
//! whether repeating makes sense. Table and column names stand in [`tables`] and in `migrations/`, nowhere else.
//! Nothing here knows plans or batches.

pub mod error;
pub mod client;
pub mod tables;
pub mod rows;
pub mod migrate;

pub use client::{WarehouseConfig, client, load_settings};
pub use error::WarehouseError;
pub use migrate::{MigrateError, migrate};
pub use rows::{
    HitRollupRow, ItemRollupRow, RefusalRollupRow, SessionRollupRow, ValueRollupRow, WatermarkRow,
};
