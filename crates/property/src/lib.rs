//! Properties: what a merchant configured, as files that the services read again each second.
//!
//! One file per property, `{dir}/{property_id}.json`, made with create-if-absent; setting rules puts a new file in its place. In: a directory. Out: a
//! [`Snapshot`] to look up by measurement id, property id or report key, and the versioned rules that hits name.
//!
//! Invariant: what was once read stays in force until a good successor is read. A broken file, an unreadable directory
//! or one that lost all its files keeps the last good version, so that a bad configuration never reads as an empty one.

pub mod key;
pub mod model;
pub mod rulebook;
pub mod tracker;
mod stored;
pub mod read;
pub mod snapshot;
pub mod create;
pub mod rules_file;
pub mod change;
pub mod aliases;
pub mod properties;

pub use aliases::{Alias, AliasError, OwnedAlias};
pub use change::{FieldChange, RulesChange, RulesError};
pub use create::{CreateError, Created, NewProperty};
pub use key::{KeyHash, VisitorKey};
pub use model::{Property, is_measurement_id};
pub use properties::{OpenError, Properties, PropertiesStats};
pub use read::FileError;
pub use rulebook::{Invalid, Rulebook};
pub use rules_file::{RULES_FILE_MAX_BYTES, RulesFile, RulesFileError};
pub use snapshot::Snapshot;
pub use tracker::{Setting, TrackerSettings};
