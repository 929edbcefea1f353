//! One session: whether a hit belongs to it, when it is over, what it comes to.
//!
//! [`Session`] is a session as state has it; `Figures` are the part of it that changes with its hits. Dimensions and acquisition are those of its first hit for ever. Its
//! terms are those of the rules that its latest hit named, so that a change of rules is felt from the next hit on. Passive
//! events are counted in it and change nothing else: to its end, its terms and its engagement they are no hits.

use std::sync::Arc;

use crate::handover::{Acquisition, ClosedSession, Dimensions, EnrichedHit, SessionTerms};

/// Longest session by event time, and how long a client's session id is remembered by received time: 24 h.
pub(super) const DAY_MS: u64 = 86_400_000;

/// How a hit without session id lies to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Within the time-out of it, and within its day where sessions end at midnight.
    Joins,
    /// After it, or of another campaign where that begins a session: the session is over.
    Later,
    /// Before it: a session of its own.
    Older,
}

/// The page a session ends on so far: the page view with the greatest event time, later in WAL order among equals;
/// without a page view the hit that is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Whether it was viewed; a page view takes precedence over any other hit.
    pub is_page_view: bool,
    /// Its event time, unix milliseconds.
    pub event_time_ms: u64,
    /// Its path.
    pub page_path: Arc<str>,
}

/// A session that is open, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Counts sessions in the order they opened.
    pub number: u64,
    /// Visitor ids it is known by: the first hit's, then those of later days.
    pub visitors: Vec<u64>,
    /// Hash of the client's session id; `None`: found by time.
    pub session_id: Option<u64>,
    /// Of its first hit.
    pub dimensions: Dimensions,
    /// Of its first hit.
    pub acquisition: Arc<Acquisition>,
    /// By the rules of its latest hit.
    pub terms: SessionTerms,
    /// Smallest event time, unix milliseconds.
    pub first_ms: u64,
    /// Greatest event time, unix milliseconds.
    pub last_ms: u64,
    /// Received time of its first hit, unix milliseconds.
    pub opened_at_ms: u64,
    /// Received time of its latest hit, unix milliseconds.
    pub received_at_ms: u64,
    /// Where it ends so far.
    pub exit: Exit,
    /// Page views so far.
    pub page_views: u64,
    /// Hits of any event so far.
    pub events: u64,
    /// Engagement time so far, milliseconds.
    pub engagement_ms: u64,
    /// Whether a key event is among its hits.
    pub has_key_event: bool,
}

/// The part of a session that changes with its hits. Names and units are those of [`Session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) terms: SessionTerms,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    pub(super) opened_at_ms: u64,
    pub(super) received_at_ms: u64,
    pub(super) exit_is_page_view: bool,
    pub(super) exit_event_time_ms: u64,
    pub(super) page_views: u64,
    pub(super) events: u64,
    pub(super) engagement_ms: u64,
    pub(super) has_key_event: bool,
}

impl Figures {
    /// How a hit of its visitor lies to it, by the rules that the hit names.
    pub(super) fn fit(&self, hit: &EnrichedHit) -> Fit {
        let (time, timeout_ms) = (hit.event_time_ms, hit.terms.timeout_ms);
        let ended_the_day_before = hit.day.is_some_and(|day| self.last_ms < day.from_ms);
        if time < self.first_ms.saturating_sub(timeout_ms)
            || hit.day.is_some_and(|day| day.to_ms <= self.first_ms)
        {
            Fit::Older
        } else if time <= self.last_ms + timeout_ms
            && time.saturating_sub(self.first_ms) <= DAY_MS
            && !ended_the_day_before
        {
            Fit::Joins
        } else {
            Fit::Later
        }
    }

    /// Takes in a hit that belongs to it; whether the session ends on the hit's page from now on.
    pub(super) fn join(&mut self, hit: &EnrichedHit) -> bool {
        self.events += 1;
        if hit.is_passive {
            return false;
        }
        self.terms = hit.terms;
        self.first_ms = self.first_ms.min(hit.event_time_ms);
        self.last_ms = self.last_ms.max(hit.event_time_ms);
        self.received_at_ms = hit.received_at_ms;
        self.page_views += u64::from(hit.is_page_view);
        self.engagement_ms = self.engagement_ms.saturating_add(hit.engagement_ms);
        self.has_key_event |= hit.is_key_event;
        let is_exit =
            (hit.is_page_view, hit.event_time_ms) >= (self.exit_is_page_view, self.exit_event_time_ms);
        if is_exit {
            self.exit_is_page_view = hit.is_page_view;
            self.exit_event_time_ms = hit.event_time_ms;
        }
        is_exit
    }

    /// Received time at which it is over, unix milliseconds.
    pub(super) fn due_ms(&self) -> u64 {
        self.last_ms.max(self.received_at_ms).saturating_add(self.wait_ms())
    }

    /// Time of an import mark at which it is over, unix milliseconds.
    pub(super) fn import_due_ms(&self) -> u64 {
        self.last_ms.saturating_add(self.wait_ms())
    }

    fn wait_ms(&self) -> u64 {
        self.terms.timeout_ms + self.terms.grace_ms
    }

    /// The session with these figures.
    pub(super) fn session(
        &self,
        number: u64,
        visitors: Vec<u64>,
        session_id: Option<u64>,
        dimensions: Dimensions,
        acquisition: Arc<Acquisition>,
        exit_page: Arc<str>,
    ) -> Session {
        Session {
            number,
            visitors,
            session_id,
            dimensions,
            acquisition,
            terms: self.terms,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            opened_at_ms: self.opened_at_ms,
            received_at_ms: self.received_at_ms,
            exit: Exit {
                is_page_view: self.exit_is_page_view,
                event_time_ms: self.exit_event_time_ms,
                page_path: exit_page,
            },
            page_views: self.page_views,
            events: self.events,
            engagement_ms: self.engagement_ms,
            has_key_event: self.has_key_event,
        }
    }
}

impl Session {
    /// The session that this hit opens.
    pub(super) fn open(number: u64, hit: &EnrichedHit, acquisition: Acquisition) -> Self {
        Self {
            number,
            visitors: vec![hit.visitor_id],
            session_id: hit.session_id,
            dimensions: hit.dimensions.clone(),
            acquisition: Arc::new(acquisition),
            terms: hit.terms,
            first_ms: hit.event_time_ms,
            last_ms: hit.event_time_ms,
            opened_at_ms: hit.received_at_ms,
            received_at_ms: hit.received_at_ms,
            exit: Exit {
                is_page_view: hit.is_page_view,
                event_time_ms: hit.event_time_ms,
                page_path: Arc::clone(&hit.dimensions.page_path),
            },
            page_views: u64::from(hit.is_page_view),
            events: 1,
            engagement_ms: hit.engagement_ms,
            has_key_event: hit.is_key_event,
        }
    }

    /// The part of it that changes with its hits.
    pub(super) fn figures(&self) -> Figures {
        Figures {
            terms: self.terms,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            opened_at_ms: self.opened_at_ms,
            received_at_ms: self.received_at_ms,
            exit_is_page_view: self.exit.is_page_view,
            exit_event_time_ms: self.exit.event_time_ms,
            page_views: self.page_views,
            events: self.events,
            engagement_ms: self.engagement_ms,
            has_key_event: self.has_key_event,
        }
    }

    /// Received time at which its session id is forgotten, unix milliseconds; `None` without one.
    pub(super) fn forgotten_at_ms(&self) -> Option<u64> {
        self.session_id.map(|_| self.opened_at_ms.saturating_add(DAY_MS))
    }

    /// What it came to.
    pub(super) fn close(self) -> ClosedSession {
        let duration_ms = self.last_ms - self.first_ms;
        ClosedSession {
            engaged: self.has_key_event
                || self.page_views >= self.terms.engaged_page_views
                || duration_ms.max(self.engagement_ms) > self.terms.engaged_after_ms,
            dimensions: self.dimensions,
            acquisition: self.acquisition,
            exit_page: self.exit.page_path,
            page_views: self.page_views,
            events: self.events,
            duration_ms,
        }
    }
}
