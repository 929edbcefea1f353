//! Sealed batches: identity, minute rows, their columnar bytes, and the segment that holds them.
//!
//! In: rows that processing made, or WAL blocks. Out: immutable bytes with an id, the same on the edge's disk, on the
//! wire, in the object store and at the loader. Nothing here does I/O.

pub mod rows;
pub mod sealed;
pub mod payload;
pub mod raw;
pub mod segment;
pub mod values;

pub use payload::{PayloadError, decode_rollup, encode_rollup};
pub use proto::batch::Lane;
pub use rows::{
    CUSTOM_SEPARATOR, CustomSums, HitRow, ItemRow, MAX_ITEMS, MAX_REVENUE_MICROS, RefusalRow, RollupRows,
    RowKey, SessionRow, ValueRow,
};
pub use sealed::{BatchError, BatchHeader, BatchId, SealedBatch};
