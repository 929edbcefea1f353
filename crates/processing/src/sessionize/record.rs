//! An open session in 104 bytes: shared values by id, times as distances.
//!
//! Invariant: what is taken out is what was put in. Figures that do not fit (a session longer than 49 days, one first
//! seen 34 years after it happened, 2³² hits) are not packed, but kept beside the record as they are.

use crate::handover::{Dimensions, TrafficClass};
use crate::sessionize::interned::{Interned, Origin};
use crate::sessionize::keys::Key;
use crate::sessionize::session::{Figures, Session};
use crate::sessionize::slab::Vacant;

/// A bit of [`Record::flags`].
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Flag {
    /// A key event is among its hits.
    HasKeyEvent = 1,
    /// It has a client's session id.
    Named = 2,
    /// It changed since the last seal.
    Dirty = 4,
    /// It ends on a page view so far.
    ExitIsPageView = 8,
    /// Its figures lie elsewhere.
    Wide = 16,
}

/// Bits of [`Record::flags`] below the traffic class, whose number there counts from 1: 0 is a record without a session.
const CLASS_SHIFT: u32 = 5;

/// An open session.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) number: u64,
    visitor_id: u64,
    session_id: u64,
    /// Time of its entry among those due, unix milliseconds.
    pub(super) due_at_ms: u64,
    /// Set whether the figures fit or not.
    pub(super) opened_at_ms: u64,
    /// Milliseconds from the first event time to the time of opening: 40 bits.
    opened_after_first_low: u32,
    opened_after_first_high: u8,
    /// See [`Flag`] and [`CLASS_SHIFT`].
    flags: u8,
    local_date: u16,
    minute: u32,
    utc_offset_s: i32,
    last_after_first_ms: u32,
    exit_after_first_ms: u32,
    received_after_opened_ms: u32,
    page_views: u32,
    events: u32,
    engagement_ms: u32,
    /// Ids of interned values.
    pub(super) property: u32,
    page: u32,
    exit_page: u32,
    origin: u32,
    pub(super) acquisition: u32,
    terms: u32,
}

impl Vacant for Record {
    fn is_vacant(&self) -> bool {
        self.flags >> CLASS_SHIFT == 0
    }
}

impl Record {
    /// A record of a session, and its figures if they do not fit; `None` when no more values can be interned.
    pub(super) fn new(session: &Session, interned: &mut Interned) -> Option<(Self, Option<Figures>)> {
        let dimensions = &session.dimensions;
        let mut record = Self {
            number: session.number,
            visitor_id: session.visitors.first().copied().unwrap_or(0),
            session_id: session.session_id.unwrap_or(0),
            local_date: dimensions.local_date,
            minute: dimensions.minute,
            utc_offset_s: dimensions.utc_offset_s,
            property: interned.properties.intern(dimensions.property.clone())?,
            page: interned.pages.intern(dimensions.page_path.clone())?,
            exit_page: interned.pages.intern(session.exit.page_path.clone())?,
            origin: interned.origins.intern(Origin {
                hostname: dimensions.hostname.clone(),
                place: dimensions.place.clone(),
                client: dimensions.client.clone(),
                traffic: dimensions.traffic,
            })?,
            flags: (dimensions.traffic.class() as u8 + 1) << CLASS_SHIFT,
            acquisition: interned.acquisitions.intern(session.acquisition.clone())?,
            terms: interned.terms.intern(session.terms)?,
            ..Self::default()
        };
        record.set(Flag::Named, session.session_id.is_some());
        let wide = record.pack(&session.figures());
        Some((record, wide))
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u8 != 0
    }

    pub(super) fn set(&mut self, flag: Flag, is_set: bool) {
        if is_set {
            self.flags |= flag as u8;
        } else {
            self.flags &= !(flag as u8);
        }
    }

    fn traffic_class(&self) -> TrafficClass {
        let number = usize::from(self.flags >> CLASS_SHIFT).checked_sub(1);
        number.and_then(|number| TrafficClass::ALL.get(number)).copied().unwrap_or_default()
    }

    /// What its first hit was found by.
    pub(super) fn key(&self) -> Key {
        Key {
            property: self.property,
            traffic_class: self.traffic_class(),
            visitor_id: self.visitor_id,
            session_id: self.has(Flag::Named).then_some(self.session_id),
        }
    }

    /// Its figures, unless they lie elsewhere.
    pub(super) fn unpack(&self, interned: &Interned) -> Option<Figures> {
        if self.has(Flag::Wide) {
            return None;
        }
        let opened_after_first_ms =
            u64::from(self.opened_after_first_high) << 32 | u64::from(self.opened_after_first_low);
        let first_ms = self.opened_at_ms - opened_after_first_ms;
        Some(Figures {
            terms: *interned.terms.get(self.terms)?,
            first_ms,
            last_ms: first_ms + u64::from(self.last_after_first_ms),
            opened_at_ms: self.opened_at_ms,
            received_at_ms: self.opened_at_ms + u64::from(self.received_after_opened_ms),
            exit_is_page_view: self.has(Flag::ExitIsPageView),
            exit_event_time_ms: first_ms + u64::from(self.exit_after_first_ms),
            page_views: self.page_views.into(),
            events: self.events.into(),
            engagement_ms: self.engagement_ms.into(),
            has_key_event: self.has(Flag::HasKeyEvent),
        })
    }

    /// Takes new figures after a hit. Gives them back if they do not fit, to be kept elsewhere.
    pub(super) fn update(&mut self, figures: &Figures, interned: &mut Interned) -> Option<Figures> {
        if interned.terms.get(self.terms) != Some(&figures.terms)
            && let Some(id) = interned.terms.intern(figures.terms)
        {
            interned.terms.release(self.terms);
            self.terms = id;
        }
        self.pack(figures)
    }

    /// The session ends on this page from now on.
    pub(super) fn set_exit_page(&mut self, page: &std::sync::Arc<str>, interned: &mut Interned) {
        if interned.pages.get(self.exit_page) != Some(page)
            && let Some(id) = interned.pages.intern(page.clone())
        {
            interned.pages.release(self.exit_page);
            self.exit_page = id;
        }
    }

    /// The session, with all its visitors and its figures.
    pub(super) fn session(
        &self,
        visitors: Vec<u64>,
        figures: &Figures,
        interned: &Interned,
    ) -> Option<Session> {
        let Origin { hostname, place, client, traffic } = interned.origins.get(self.origin)?.clone();
        let dimensions = Dimensions {
            property: interned.properties.get(self.property)?.clone(),
            local_date: self.local_date,
            minute: self.minute,
            utc_offset_s: self.utc_offset_s,
            page_path: interned.pages.get(self.page)?.clone(),
            hostname,
            place,
            client,
            traffic,
        };
        let acquisition = interned.acquisitions.get(self.acquisition)?.clone();
        let exit_page = interned.pages.get(self.exit_page)?.clone();
        let session_id = self.key().session_id;
        Some(figures.session(self.number, visitors, session_id, dimensions, acquisition, exit_page))
    }

    /// Says that its values are needed no more.
    pub(super) fn release(&self, interned: &mut Interned) {
        interned.properties.release(self.property);
        interned.pages.release(self.page);
        interned.pages.release(self.exit_page);
        interned.origins.release(self.origin);
        interned.acquisitions.release(self.acquisition);
        interned.terms.release(self.terms);
    }

    fn pack(&mut self, figures: &Figures) -> Option<Figures> {
        let fits = self.try_pack(figures).is_some();
        self.set(Flag::Wide, !fits);
        (!fits).then_some(*figures)
    }

    fn try_pack(&mut self, figures: &Figures) -> Option<()> {
        let small = |ms: Option<u64>| u32::try_from(ms?).ok();
        self.opened_at_ms = figures.opened_at_ms;
        let opened_after_first_ms = figures.opened_at_ms.checked_sub(figures.first_ms)?;
        self.opened_after_first_high = u8::try_from(opened_after_first_ms >> 32).ok()?;
        self.opened_after_first_low = small(Some(opened_after_first_ms & u64::from(u32::MAX)))?;
        self.last_after_first_ms = small(figures.last_ms.checked_sub(figures.first_ms))?;
        self.exit_after_first_ms = small(figures.exit_event_time_ms.checked_sub(figures.first_ms))?;
        self.received_after_opened_ms = small(figures.received_at_ms.checked_sub(figures.opened_at_ms))?;
        self.page_views = small(Some(figures.page_views))?;
        self.events = small(Some(figures.events))?;
        self.engagement_ms = small(Some(figures.engagement_ms))?;
        self.set(Flag::ExitIsPageView, figures.exit_is_page_view);
        self.set(Flag::HasKeyEvent, figures.has_key_event);
        Some(())
    }
}

#[cfg(test)]
mod tests;
