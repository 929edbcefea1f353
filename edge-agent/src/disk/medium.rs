//! What a database lies on: a file, or in tests a disk that forgets.
//!
//! Everything else about opening (checks, cache, what a new database holds) is the same code for both, so what tests see
//! of a loss of power is true of the files.

use std::path::Path;

use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase};

/// Where the bytes of a database are.
pub(super) trait Medium {
    /// Makes a new database.
    fn create(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Opens one that is there, after a crash with repair; an empty one is an error.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;

    /// Opens one that is there and needs no repair.
    fn open_read_only(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError>;
}

impl Medium for Path {
    fn create(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create(self)
    }

    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.open(self)
    }

    fn open_read_only(&self, builder: &Builder) -> Result<ReadOnlyDatabase, DatabaseError> {
        builder.open_read_only(self)
    }
}
