//! Configuration as each service holds it: a set of records with a version and a checksum.
//!
//! ```text
//! api: log in the object store ─► replica ─► serve ══ gRPC ══► follow ─► replica of a hub ─► serve ══► follow ─► replica of an edge
//! ```
//!
//! `position` says which state of which history, `stored` what records mean, `replica` keeps them in a redb file, `snapshot` is a whole
//! state in pieces, `serve` and `follow` are the two ends of the way between services. `salts` go the same way, and are in no replica; with them `visitor` finds ids. Invariant: a replica holds a version whole, with
//! the checksum it was announced with, or it stays at the version it has: what is empty, older, corrupt, foreign or of a newer schema is
//! refused and told.

pub mod position;
pub mod stored;
pub mod refusal;
pub mod replica;
pub mod snapshot;
pub mod salts;
pub mod visitor;
pub mod serve;
pub mod follow;
pub mod fixture;

pub use position::{Checksum, Position, SCHEMA};
pub use refusal::Refused;
pub use replica::{Replica, ReplicaError};
pub use salts::{Salt, SaltMap, Salts};
