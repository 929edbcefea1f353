//! Properties: what a merchant configured, checked.
//!
//! Ids and keys, versioned rules and tracker settings, what other products call a site. In: requests and rules files. Out: values that
//! every service can rely on. No I/O: where they are kept and how they come to the edges is `configuration`'s.

pub mod key;
pub mod model;
pub mod rulebook;
pub mod quota;
pub mod tracker;
pub mod create;
pub mod update;
pub mod retention;
pub mod rules_file;
pub mod change;
pub mod aliases;

pub use aliases::{Alias, AliasError, OwnedAlias};
pub use change::{Changed, FieldChange, RulesError};
pub use create::{CreateError, Created, NewProperty};
pub use key::{ApiSecret, KeyHash, VisitorKey};
pub use model::{Property, is_data_region, is_measurement_id, is_property_id};
pub use quota::{Quota, QuotaChange, local_date, next_midnight_ms};
pub use rulebook::{Invalid, Rulebook};
pub use rules_file::{RULES_FILE_MAX_BYTES, RulesFile, RulesFileError};
pub use tracker::{Setting, TrackerSettings};
pub use update::PropertyUpdate;
