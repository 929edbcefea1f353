//! The values that sessions share, by kind.

use std::sync::Arc;

use crate::handover::{Acquisition, Client, Place, SessionTerms, TrafficReason};
use crate::sessionize::interner::Interner;

/// What the sessions of one kind of visitor have alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) hostname: Arc<str>,
    pub(super) place: Arc<Place>,
    pub(super) client: Arc<Client>,
    pub(super) traffic: TrafficReason,
}

/// Interned values of all sessions, open and remembered.
#[derive(Debug, Default)]
pub(super) struct Interned {
    /// Property ids.
    pub(super) properties: Interner<Arc<str>>,
    /// Paths of pages, of first hits and exits.
    pub(super) pages: Interner<Arc<str>>,
    /// Host, place, client and traffic.
    pub(super) origins: Interner<Origin>,
    /// Where sessions came from.
    pub(super) acquisitions: Interner<Arc<Acquisition>>,
    /// What rules say of sessions.
    pub(super) terms: Interner<SessionTerms>,
}
