//! Erasures: jobs that remove data of a property, of visitors of a property, or of everything past its retention.
//!
//! In: requests that an api makes. Out: the same requests for loaders, and progress that loaders write for apis. Everything
//! lies in the object store: `erasures/{job}/request.json`, `erasures/open/{job}`, `erasures/{job}/progress/{shard}.json`.
//! Invariants: a request never changes; a job is open from its marker until every shard is done; nothing here removes data.

pub mod document;
pub mod jobs;

pub use document::{
    Before, DocumentError, FORMAT, Hold, JobId, Progress, Request, State, Step, VisitorId, What,
};
pub use jobs::{JobError, Jobs};
