//! What one version of a property's rules says of sessions, as it is asked for each hit.
//!
//! In: the rules. Out: terms that all hits share, and what a hit is by them: passive, a key event, of which day, of which
//! campaign. A rule that is not in force costs a hit nothing.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hit::{PAGE_VIEW, Rules};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::enrich::acquisition;
use crate::enrich::address::Address;
use crate::enrich::money::PURCHASES;
use crate::handover::{Acquisition, Day, SessionTerms};

/// The rules of sessions and events.
#[derive(Debug)]
pub struct Terms {
    /// Of every session.
    pub session: SessionTerms,
    cut_at_midnight: bool,
    cut_on_campaign: bool,
    passive_events: HashSet<String, RandomState>,
    key_events: HashSet<String, RandomState>,
}

impl Terms {
    /// Of these rules.
    pub fn new(rules: &Rules) -> Self {
        let session = &rules.session;
        Self {
            session: SessionTerms {
                timeout_ms: u64::from(rules.session_timeout_s) * 1000,
                grace_ms: u64::from(rules.session_grace_s) * 1000,
                engaged_after_ms: u64::from(session.engaged_after_s) * 1000,
                engaged_page_views: session.engaged_page_views.into(),
            },
            cut_at_midnight: session.cut_at_midnight,
            cut_on_campaign: session.cut_on_campaign,
            passive_events: session.passive_events.iter().cloned().collect(),
            key_events: rules.events.key_events.iter().cloned().collect(),
        }
    }

    /// Whether an event neither opens a session nor makes it longer; a page view always does.
    pub fn is_passive(&self, event: &str) -> bool {
        self.passive_events.contains(event) && event != PAGE_VIEW
    }

    /// Whether the site is there for this event: a purchase, or what its rules name.
    pub fn is_key_event(&self, event: &str) -> bool {
        PURCHASES.contains(&event) || self.key_events.contains(event)
    }

    /// The day of the zone that an instant lies in, if sessions end with it.
    pub fn day(&self, event_time_ms: u64, zone: &TimeZone) -> Option<Day> {
        if !self.cut_at_midnight {
            return None;
        }
        let instant = Timestamp::from_millisecond(i64::try_from(event_time_ms).ok()?).ok()?;
        // The first instant of a day is not always 00:00: clocks may be set forward at midnight.
        let start = instant.to_zoned(zone.clone()).start_of_day().ok()?;
        let next = start.tomorrow().ok()?.start_of_day().ok()?;
        // A day of 1970-01-01 may begin before it.
        let from_ms = u64::try_from(start.timestamp().as_millisecond()).unwrap_or(0);
        Some(Day { from_ms, to_ms: u64::try_from(next.timestamp().as_millisecond()).ok()? })
    }

    /// The campaign that a page's address names, if another one begins a session.
    pub fn campaign(&self, page: &Address<'_>) -> Option<Arc<Acquisition>> {
        if !self.cut_on_campaign {
            return None;
        }
        acquisition::campaign(page).map(Arc::new)
    }
}

#[cfg(test)]
mod tests;
