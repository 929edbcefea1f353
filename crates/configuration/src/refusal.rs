//! Why a version that was offered is not put in force.

/// What was wrong with it; the version in force stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no records, and the one in force has some: nobody takes everything away on purpose.
    #[error("version {version} has no records, and the one in force has {records}")]
    Empty {
        /// The version offered.
        version: u64,
        /// Records in force.
        records: u64,
    },
    /// It comes before the one in force.
    #[error("version {version} is older than {in_force}, which is in force")]
    Older {
        /// The version offered.
        version: u64,
        /// The version in force.
        in_force: u64,
    },
    /// It is not what its checksum says, or cannot be read.
    #[error("version {version} is damaged: {problem}")]
    Corrupt {
        /// The version offered.
        version: u64,
        /// What is wrong.
        problem: String,
    },
    /// It is of another deployment.
    #[error("version {version} belongs to another history of configuration")]
    OtherHistory {
        /// The version offered.
        version: u64,
    },
    /// It was written by a newer build.
    #[error(
        "version {version} has schema {schema}, and this build reads up to {}: run a newer build here",
        crate::SCHEMA
    )]
    NewerSchema {
        /// The version offered.
        version: u64,
        /// Its schema.
        schema: u32,
    },
}

impl Refused {
    /// The label `reason` of `edge_config_refused_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "empty",
            Self::Older { .. } => "older",
            Self::Corrupt { .. } => "corrupt",
            Self::OtherHistory { .. } => "other_history",
            Self::NewerSchema { .. } => "newer_schema",
        }
    }

    /// Every reason.
    pub const REASONS: [&'static str; 5] = ["empty", "older", "corrupt", "other_history", "newer_schema"];
}
