//! The protobuf messages of stored state. They are private to this crate: state never travels.
//!
//! Rules as in `proto`: fields are only ever added, a number is never used again. Time is unix milliseconds.

mod forgotten;
mod remembered;

use std::sync::Arc;

use hit::{EdgeId, Epoch};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, message, skip_field};

use self::forgotten::Forgotten;
use self::remembered::Remembered;
use super::{Cursor, Snapshot, StateError};
use crate::deduplicate::IdChange;
use crate::fold::{HourChange, PageChange};
use crate::handover::{self, DropReason, NOT_SET, SessionTerms, TrafficClass, TrafficReason, VisitorType};
use crate::recognise::VisitorChange;
use crate::sessionize::session::Exit;
use crate::sessionize::{self, SessionChange};
use crate::totals::Totals;

/// The threshold of engagement that there was once, milliseconds; it is not written.
const ENGAGED_AFTER_MS: u64 = 10_000;
/// Likewise, page views.
const ENGAGED_PAGE_VIEWS: u64 = 2;

const DEVICES: [&str; 5] = ["desktop", "mobile", "tablet", "bot", "other"];

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct State {
    #[prost(string, tag = "1")]
    pub(super) edge: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) epoch: Vec<u8>,
    #[prost(uint64, tag = "3")]
    from_block: u64,
    #[prost(uint64, tag = "4")]
    next_block: u64,
    #[prost(uint64, tag = "5")]
    next_position: u64,
    #[prost(uint64, tag = "6")]
    received_at_ms: u64,
    #[prost(uint64, tag = "7")]
    hits: u64,
    #[prost(uint64, tag = "8")]
    repeated: u64,
    #[prost(message, repeated, tag = "9")]
    by_class: Vec<Count>,
    #[prost(message, repeated, tag = "10")]
    dropped: Vec<Count>,
    #[prost(uint64, tag = "11")]
    ids_oldest: u64,
    #[prost(uint64, tag = "12")]
    ids_added_from: u64,
    #[prost(message, repeated, tag = "13")]
    ids: Vec<IdGroup>,
    #[prost(uint64, tag = "14")]
    hours_oldest: u64,
    #[prost(uint64, tag = "15")]
    next_hour: u64,
    #[prost(message, repeated, tag = "16")]
    hours: Vec<Hour>,
    #[prost(uint64, tag = "17")]
    next_session: u64,
    /// Only said here: see [`encode`] and [`decode`].
    #[prost(message, repeated, tag = "18")]
    open: Vec<Session>,
    #[prost(message, repeated, tag = "19")]
    remembered: Vec<Remembered>,
    #[prost(uint64, repeated, tag = "20")]
    gone: Vec<u64>,
    #[prost(uint64, tag = "21")]
    visitors_oldest: u64,
    #[prost(uint64, tag = "22")]
    visitors_added_from: u64,
    #[prost(fixed64, repeated, tag = "23")]
    visitors: Vec<u64>,
    #[prost(uint64, tag = "24")]
    refused_without_rules: u64,
    /// None: nothing was forgotten before its turn, and nobody is known.
    #[prost(message, optional, tag = "25")]
    forgotten: Option<Forgotten>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Count {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(uint64, tag = "2")]
    count: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct IdGroup {
    #[prost(uint64, tag = "1")]
    received_at_ms: u64,
    /// 16 bytes each.
    #[prost(bytes = "vec", tag = "2")]
    ids: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Hour {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    property: String,
    #[prost(int64, tag = "3")]
    local_hour: i64,
    #[prost(uint64, tag = "4")]
    began_at_ms: u64,
    #[prost(fixed64, repeated, tag = "5")]
    pages: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Dimensions {
    #[prost(string, tag = "1")]
    property: String,
    #[prost(uint32, tag = "2")]
    local_date: u32,
    #[prost(uint32, tag = "3")]
    minute: u32,
    #[prost(int32, tag = "4")]
    utc_offset_s: i32,
    #[prost(string, tag = "5")]
    page_path: String,
    #[prost(string, tag = "6")]
    country: String,
    #[prost(string, tag = "7")]
    traffic_class: String,
    #[prost(string, tag = "8")]
    browser: String,
    #[prost(string, tag = "9")]
    operating_system: String,
    #[prost(string, tag = "10")]
    device: String,
    #[prost(string, tag = "11")]
    hostname: String,
    #[prost(string, tag = "12")]
    region: String,
    #[prost(string, tag = "13")]
    city: String,
    #[prost(string, tag = "14")]
    browser_version: String,
    #[prost(string, tag = "15")]
    operating_system_version: String,
    #[prost(string, tag = "16")]
    device_brand: String,
    /// Empty: none, and for a bot that its user agent is a crawler's, the only reason there was once.
    #[prost(string, tag = "17")]
    traffic_reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Acquisition {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(string, tag = "2")]
    medium: String,
    #[prost(string, tag = "3")]
    campaign: String,
    #[prost(string, tag = "4")]
    visitor_type: String,
    /// Empty: not set.
    #[prost(string, tag = "5")]
    first_source: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Session {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(fixed64, repeated, tag = "2")]
    visitors: Vec<u64>,
    #[prost(fixed64, optional, tag = "3")]
    session_id: Option<u64>,
    #[prost(message, optional, tag = "4")]
    dimensions: Option<Dimensions>,
    #[prost(message, optional, tag = "5")]
    acquisition: Option<Acquisition>,
    #[prost(uint64, tag = "6")]
    timeout_ms: u64,
    #[prost(uint64, tag = "7")]
    grace_ms: u64,
    #[prost(uint64, tag = "8")]
    first_ms: u64,
    #[prost(uint64, tag = "9")]
    last_ms: u64,
    #[prost(uint64, tag = "10")]
    opened_at_ms: u64,
    #[prost(uint64, tag = "11")]
    received_at_ms: u64,
    #[prost(bool, tag = "12")]
    exit_is_page_view: bool,
    #[prost(uint64, tag = "13")]
    exit_event_time_ms: u64,
    #[prost(string, tag = "14")]
    exit_page: String,
    #[prost(uint64, tag = "15")]
    page_views: u64,
    #[prost(uint64, tag = "16")]
    events: u64,
    #[prost(uint64, tag = "17")]
    engagement_ms: u64,
    /// None: [`ENGAGED_AFTER_MS`].
    #[prost(uint64, optional, tag = "18")]
    engaged_after_ms: Option<u64>,
    /// None: [`ENGAGED_PAGE_VIEWS`].
    #[prost(uint64, optional, tag = "19")]
    engaged_page_views: Option<u64>,
    #[prost(bool, tag = "20")]
    has_key_event: bool,
}

/// Tag of [`State::open`].
const OPEN: u32 = 18;

/// The message of a snapshot. Sessions are written one by one: a million of them as messages would take a gigabyte.
pub(super) fn encode(edge: &EdgeId, epoch: Epoch, snapshot: &Snapshot) -> Vec<u8> {
    let mut before = State::without_open_sessions(edge, epoch, snapshot);
    let remembered = std::mem::take(&mut before.remembered);
    let after = State { remembered, gone: std::mem::take(&mut before.gone), ..State::default() };
    let mut bytes = before.encode_to_vec();
    for session in &snapshot.sessions.open {
        message::encode(OPEN, &Session::from(session), &mut bytes);
    }
    bytes.extend_from_slice(&after.encode_to_vec());
    bytes
}

/// Reads such a message, sessions one by one, too: the rest, and the open sessions.
pub(super) fn decode(bytes: &[u8]) -> Result<(State, Vec<sessionize::session::Session>), StateError> {
    let broken = |error: prost::DecodeError| StateError::Damaged(error.to_string());
    let (mut rest, mut open) = (Vec::new(), Vec::new());
    let mut left = bytes;
    while !left.is_empty() {
        let field = left;
        let (tag, wire_type) = decode_key(&mut left).map_err(broken)?;
        if tag == OPEN {
            let mut session = Session::default();
            message::merge(wire_type, &mut session, &mut left, DecodeContext::default()).map_err(broken)?;
            open.push(session.into_session()?);
        } else {
            skip_field(wire_type, tag, &mut left, DecodeContext::default()).map_err(broken)?;
            rest.extend_from_slice(field.get(..field.len() - left.len()).unwrap_or_default());
        }
    }
    Ok((State::decode(rest.as_slice()).map_err(broken)?, open))
}

impl State {
    fn without_open_sessions(edge: &EdgeId, epoch: Epoch, snapshot: &Snapshot) -> Self {
        let Snapshot { from_block, cursor, totals, ids, pages, visitors, sessions, jobs: _ } = snapshot;
        let count = |label: &str, count: u64| Count { label: label.to_owned(), count };
        Self {
            edge: edge.as_str().to_owned(),
            epoch: epoch.0.to_vec(),
            from_block: *from_block,
            next_block: cursor.next_block,
            next_position: cursor.next_position,
            received_at_ms: cursor.received_at_ms,
            hits: totals.hits,
            repeated: totals.repeated,
            by_class: totals.by_class.iter().map(|(class, n)| count(class.as_str(), *n)).collect(),
            dropped: totals.dropped.iter().map(|(reason, n)| count(reason.as_str(), *n)).collect(),
            ids_oldest: ids.oldest,
            ids_added_from: ids.added_from,
            ids: ids.added.iter().map(IdGroup::from).collect(),
            hours_oldest: pages.oldest,
            next_hour: pages.next_number,
            hours: pages.hours.iter().map(Hour::from).collect(),
            next_session: sessions.next_number,
            open: Vec::new(),
            remembered: sessions.remembered.iter().map(Remembered::from).collect(),
            gone: sessions.gone.clone(),
            visitors_oldest: visitors.oldest,
            visitors_added_from: visitors.added_from,
            visitors: visitors.added.clone(),
            refused_without_rules: totals.refused_without_rules,
            forgotten: Forgotten::of(snapshot),
        }
    }

    /// The snapshot, with these open sessions.
    pub(super) fn into_snapshot(
        self,
        open: Vec<sessionize::session::Session>,
    ) -> Result<Snapshot, StateError> {
        let class = |entry: &Count| Ok((class_of(&entry.label)?, entry.count));
        let reason = |entry: &Count| Ok((reason_of(&entry.label)?, entry.count));
        let added = |group: IdGroup| (group.received_at_ms, group.ids);
        let forgotten = self.forgotten.unwrap_or_default();
        Ok(Snapshot {
            from_block: self.from_block,
            cursor: Cursor {
                next_block: self.next_block,
                next_position: self.next_position,
                received_at_ms: self.received_at_ms,
            },
            totals: Totals {
                hits: self.hits,
                repeated: self.repeated,
                by_class: self.by_class.iter().map(class).collect::<Result<_, StateError>>()?,
                dropped: self.dropped.iter().map(reason).collect::<Result<_, StateError>>()?,
                refused_without_rules: self.refused_without_rules,
            },
            ids: IdChange {
                oldest: self.ids_oldest,
                added_from: self.ids_added_from,
                added: self.ids.into_iter().map(added).collect(),
            },
            pages: PageChange {
                oldest: self.hours_oldest,
                next_number: self.next_hour,
                hours: self.hours.into_iter().map(Hour::into_change).collect(),
                gone: forgotten.hours,
            },
            visitors: VisitorChange {
                oldest: self.visitors_oldest,
                added_from: self.visitors_added_from,
                added: self.visitors,
                days: forgotten.days.into_iter().map(Into::into).collect(),
                emptied: forgotten.visitors,
            },
            sessions: SessionChange {
                next_number: self.next_session,
                open,
                remembered: self
                    .remembered
                    .into_iter()
                    .map(Remembered::into_remembered)
                    .collect::<Result<_, _>>()?,
                gone: self.gone,
            },
            jobs: forgotten.jobs.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&(u64, Vec<u8>)> for IdGroup {
    fn from((received_at_ms, ids): &(u64, Vec<u8>)) -> Self {
        Self { received_at_ms: *received_at_ms, ids: ids.clone() }
    }
}

impl From<&HourChange> for Hour {
    fn from(hour: &HourChange) -> Self {
        Self {
            number: hour.number,
            property: hour.property.to_string(),
            local_hour: hour.local_hour,
            began_at_ms: hour.began_at_ms,
            pages: hour.pages.clone(),
        }
    }
}

impl Hour {
    fn into_change(self) -> HourChange {
        HourChange {
            number: self.number,
            property: self.property.into(),
            local_hour: self.local_hour,
            began_at_ms: self.began_at_ms,
            pages: self.pages,
        }
    }
}

impl From<&handover::Dimensions> for Dimensions {
    fn from(from: &handover::Dimensions) -> Self {
        Self {
            property: from.property.to_string(),
            local_date: from.local_date.into(),
            minute: from.minute,
            utc_offset_s: from.utc_offset_s,
            page_path: from.page_path.to_string(),
            country: from.place.country.to_string(),
            traffic_class: from.traffic.class().as_str().to_owned(),
            browser: from.client.browser.to_string(),
            operating_system: from.client.operating_system.to_string(),
            device: from.client.device.to_string(),
            hostname: from.hostname.to_string(),
            region: from.place.region.to_string(),
            city: from.place.city.to_string(),
            browser_version: from.client.browser_version.to_string(),
            operating_system_version: from.client.operating_system_version.to_string(),
            device_brand: from.client.device_brand.to_string(),
            traffic_reason: match from.traffic {
                TrafficReason::CrawlerUserAgent => String::new(),
                reason => reason.as_str().to_owned(),
            },
        }
    }
}

impl Dimensions {
    fn into_dimensions(self) -> Result<handover::Dimensions, StateError> {
        let unknown = |device: &str| impossible("device", device);
        let client = handover::Client {
            browser: self.browser.into(),
            browser_version: self.browser_version.into(),
            operating_system: self.operating_system.into(),
            operating_system_version: self.operating_system_version.into(),
            device: DEVICES
                .into_iter()
                .find(|device| *device == self.device)
                .ok_or_else(|| unknown(&self.device))?
                .into(),
            device_brand: self.device_brand.into(),
        };
        let place = handover::Place {
            country: self.country.into(),
            region: self.region.into(),
            city: self.city.into(),
        };
        let traffic = match (class_of(&self.traffic_class)?, self.traffic_reason.as_str()) {
            (TrafficClass::Bot, "") => TrafficReason::CrawlerUserAgent,
            (_, reason) => TrafficReason::ALL
                .into_iter()
                .find(|known| known.as_str() == reason)
                .ok_or_else(|| impossible("traffic_reason", reason))?,
        };
        Ok(handover::Dimensions {
            property: self.property.into(),
            local_date: u16::try_from(self.local_date)
                .map_err(|_| impossible("local_date", &self.local_date.to_string()))?,
            minute: self.minute,
            utc_offset_s: self.utc_offset_s,
            page_path: self.page_path.into(),
            hostname: self.hostname.into(),
            place: Arc::new(place),
            client: Arc::new(client),
            traffic,
        })
    }
}

impl From<&handover::Acquisition> for Acquisition {
    fn from(from: &handover::Acquisition) -> Self {
        Self {
            source: from.source.to_string(),
            medium: from.medium.to_string(),
            campaign: from.campaign.to_string(),
            visitor_type: match from.visitor_type {
                VisitorType::NotSet => String::new(),
                visitor_type => visitor_type.as_str().to_owned(),
            },
            first_source: match &*from.first_source {
                NOT_SET => String::new(),
                source => source.to_owned(),
            },
        }
    }
}

impl Acquisition {
    fn into_shared(self) -> Result<Arc<handover::Acquisition>, StateError> {
        let Self { source, medium, campaign, visitor_type, first_source } = self;
        let visitor_type = match visitor_type.as_str() {
            "" => VisitorType::NotSet,
            label => VisitorType::ALL
                .into_iter()
                .find(|known| known.as_str() == label)
                .ok_or_else(|| impossible("visitor_type", label))?,
        };
        Ok(Arc::new(handover::Acquisition {
            source: source.into(),
            medium: medium.into(),
            campaign: campaign.into(),
            visitor_type,
            first_source: if first_source.is_empty() { NOT_SET.into() } else { first_source.into() },
        }))
    }
}

impl From<&sessionize::session::Session> for Session {
    fn from(from: &sessionize::session::Session) -> Self {
        Self {
            number: from.number,
            visitors: from.visitors.clone(),
            session_id: from.session_id,
            dimensions: Some(Dimensions::from(&from.dimensions)),
            acquisition: Some(Acquisition::from(from.acquisition.as_ref())),
            timeout_ms: from.terms.timeout_ms,
            grace_ms: from.terms.grace_ms,
            first_ms: from.first_ms,
            last_ms: from.last_ms,
            opened_at_ms: from.opened_at_ms,
            received_at_ms: from.received_at_ms,
            exit_is_page_view: from.exit.is_page_view,
            exit_event_time_ms: from.exit.event_time_ms,
            exit_page: from.exit.page_path.to_string(),
            page_views: from.page_views,
            events: from.events,
            engagement_ms: from.engagement_ms,
            engaged_after_ms: unless(from.terms.engaged_after_ms, ENGAGED_AFTER_MS),
            engaged_page_views: unless(from.terms.engaged_page_views, ENGAGED_PAGE_VIEWS),
            has_key_event: from.has_key_event,
        }
    }
}

impl Session {
    fn into_session(self) -> Result<sessionize::session::Session, StateError> {
        let dimensions = self.dimensions.ok_or_else(|| missing("a session's dimensions"))?;
        let acquisition = self.acquisition.ok_or_else(|| missing("a session's acquisition"))?;
        Ok(sessionize::session::Session {
            number: self.number,
            visitors: self.visitors,
            session_id: self.session_id,
            dimensions: dimensions.into_dimensions()?,
            acquisition: acquisition.into_shared()?,
            terms: SessionTerms {
                timeout_ms: self.timeout_ms,
                grace_ms: self.grace_ms,
                engaged_after_ms: self.engaged_after_ms.unwrap_or(ENGAGED_AFTER_MS),
                engaged_page_views: self.engaged_page_views.unwrap_or(ENGAGED_PAGE_VIEWS),
            },
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            opened_at_ms: self.opened_at_ms,
            received_at_ms: self.received_at_ms,
            exit: Exit {
                is_page_view: self.exit_is_page_view,
                event_time_ms: self.exit_event_time_ms,
                page_path: self.exit_page.into(),
            },
            page_views: self.page_views,
            events: self.events,
            engagement_ms: self.engagement_ms,
            has_key_event: self.has_key_event,
        })
    }
}

fn unless(value: u64, default: u64) -> Option<u64> {
    (value != default).then_some(value)
}

fn class_of(label: &str) -> Result<TrafficClass, StateError> {
    TrafficClass::ALL
        .into_iter()
        .find(|class| class.as_str() == label)
        .ok_or_else(|| impossible("traffic_class", label))
}

fn reason_of(label: &str) -> Result<DropReason, StateError> {
    DropReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == label)
        .ok_or_else(|| impossible("drop reason", label))
}

fn impossible(field: &str, value: &str) -> StateError {
    StateError::Damaged(format!("{field} {value:?} is not known to this build"))
}

fn missing(what: &str) -> StateError {
    StateError::Damaged(format!("{what} is missing"))
}
