//! The values that sessions share, by kind.

use std::sync::Arc;

use crate::handover::{Acquisition, Client};
use crate::sessionize::interner::Interner;

/// Interned values of all sessions, open and remembered.
#[derive(Debug, Default)]
pub(super) struct Interned {
    /// Property ids.
    pub(super) properties: Interner<Arc<str>>,
    /// Paths of pages, of first hits and exits.
    pub(super) pages: Interner<Arc<str>>,
    /// Country and client.
    pub(super) origins: Interner<(Arc<str>, Arc<Client>)>,
    /// Where sessions came from.
    pub(super) acquisitions: Interner<Arc<Acquisition>>,
    /// Time-out and grace, milliseconds.
    pub(super) waits: Interner<(u64, u64)>,
}
