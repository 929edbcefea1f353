//! What one stage hands to the next: the words that stages share without knowing each other.
//!
//! Values here are facts of one hit or one session, compact (shared strings), and free of behaviour.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who is behind a hit. Reports count `Human` unless asked otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficClass {
    /// Nothing speaks against a person.
    Human,
    /// A crawler, monitor or script, by its user agent.
    Bot,
}

impl TrafficClass {
    /// The value of the dimension `traffic_class`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Bot => "bot",
        }
    }
}

/// Why a hit goes into no row although it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The hit names a property and version of rules that the rules' source does not have.
    UnknownProperty,
    /// The rules name a time zone that the bundled zone database does not have.
    UnknownTimeZone,
    /// The event time's local date is not within 1970-01-01 … 2149-06-06, all that a row's date can hold.
    ImpossibleTime,
}

impl DropReason {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 3] = [Self::UnknownProperty, Self::UnknownTimeZone, Self::ImpossibleTime];

    /// The label in metrics and `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownProperty => "unknown_property",
            Self::UnknownTimeZone => "unknown_time_zone",
            Self::ImpossibleTime => "impossible_time",
        }
    }
}

/// What a user agent says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// Human or bot.
    pub traffic_class: TrafficClass,
    /// Browser family by uap-core; `Other` when it knows none.
    pub browser: Arc<str>,
    /// Operating system family by uap-core; `Other` when it knows none.
    pub operating_system: Arc<str>,
    /// `desktop`, `mobile`, `tablet`, `bot` or `other`.
    pub device: Arc<str>,
}

/// Where a session came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acquisition {
    /// E.g. `google`, `news.example.com`, `(direct)`.
    pub source: Arc<str>,
    /// E.g. `organic`, `referral`, `(none)`.
    pub medium: Arc<str>,
    /// Name of the campaign; empty: none.
    pub campaign: Arc<str>,
}

/// The dimensions that a hit has of its own; with an [`Acquisition`] they are a row's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dimensions {
    /// Property id.
    pub property: Arc<str>,
    /// Days since 1970-01-01 in the property's zone.
    pub local_date: u16,
    /// Minutes since 1970-01-01T00:00Z.
    pub minute: u32,
    /// Offset of the property's zone at that instant, seconds.
    pub utc_offset_s: i32,
    /// Path of the page.
    pub page_path: Arc<str>,
    /// ISO 3166-1 alpha-2; empty: unknown.
    pub country: Arc<str>,
    /// By the user agent.
    pub client: Arc<Client>,
}

/// A hit with everything that is known from itself and the rules it names.
#[derive(Debug, Clone)]
pub struct EnrichedHit {
    /// Dimensions of its rows.
    pub dimensions: Dimensions,
    /// Event name.
    pub event: Arc<str>,
    /// Whether the event is a page view.
    pub is_page_view: bool,
    /// When it happened, unix milliseconds.
    pub event_time_ms: u64,
    /// When its block was committed, unix milliseconds.
    pub received_at_ms: u64,
    /// Visitor on the local date of the event.
    pub visitor_id: u64,
    /// Visitor on the date before, shortly after local midnight.
    pub previous_visitor_id: Option<u64>,
    /// Hash of the client's session id, if it sent one.
    pub session_id: Option<u64>,
    /// Whether the client keeps its own visitor id.
    pub has_client_id: bool,
    /// Whether the client says that this is its first visit.
    pub first_visit: bool,
    /// Visible and focused time, milliseconds.
    pub engagement_ms: u64,
    /// Session time-out of the rules it names, milliseconds.
    pub timeout_ms: u64,
    /// How long after the time-out a session waits for late hits, by the rules it names, milliseconds.
    pub grace_ms: u64,
}

/// The session of a hit, as far as the hit's row needs it.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Whether the hit is the first of its session.
    pub opens_session: bool,
    /// Where the session came from.
    pub acquisition: Arc<Acquisition>,
}

/// A session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSession {
    /// Dimensions of its first hit.
    pub dimensions: Dimensions,
    /// Where it came from.
    pub acquisition: Arc<Acquisition>,
    /// Path of the last page viewed.
    pub exit_page: Arc<str>,
    /// Whether it was engaged.
    pub engaged: bool,
    /// Page views in it.
    pub page_views: u64,
    /// Hits of any event in it.
    pub events: u64,
    /// Last less first event time, milliseconds.
    pub duration_ms: u64,
}
