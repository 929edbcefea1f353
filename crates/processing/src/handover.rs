//! What one stage hands to the next: the words that stages share without knowing each other.
//!
//! Values here are facts of one hit or one session, compact (shared strings), and free of behaviour.

use std::sync::Arc;

use batch::CustomSums;
use serde::{Deserialize, Serialize};

/// Who is behind a hit. Reports count `Human` unless asked otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficClass {
    /// Nothing speaks against a person.
    #[default]
    Human,
    /// A crawler, monitor or script, by what it says of itself or where it comes from.
    Bot,
    /// A browser that a program drives.
    Automation,
    /// A visit that is there to be seen in reports.
    Spam,
    /// The people who run the site, by the property's rules.
    Internal,
}

impl TrafficClass {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Human, Self::Bot, Self::Automation, Self::Spam, Self::Internal];

    /// The value of the dimension `traffic_class`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Bot => "bot",
            Self::Automation => "automation",
            Self::Spam => "spam",
            Self::Internal => "internal",
        }
    }
}

/// What speaks for a class; the first that holds, in this order of [`TrafficReason::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficReason {
    /// Nothing: a human.
    None,
    /// Internal: the address is in a network that the property's rules name.
    InternalNetwork,
    /// Internal: the hit's parameter `traffic_type` is `internal`, as Google Analytics' tags send it.
    InternalParameter,
    /// Bot: there is no user agent, or it is `-`.
    NoUserAgent,
    /// Bot: the user agent is a crawler's.
    CrawlerUserAgent,
    /// Bot: the user agent is no browser's.
    NoBrowser,
    /// Automation: the user agent or the client hints name a headless browser or a tool that drives one.
    Headless,
    /// Automation: the tracker saw that a program drives the browser.
    WebDriver,
    /// Bot: a page that was loaded ahead and that nobody looked at.
    Prefetch,
    /// Spam: the referrer is on the list of spam sites, or on the property's own.
    SpamReferrer,
    /// Bot: the address is of a data centre.
    DataCentre,
}

impl TrafficReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::InternalNetwork,
        Self::InternalParameter,
        Self::NoUserAgent,
        Self::CrawlerUserAgent,
        Self::NoBrowser,
        Self::Headless,
        Self::WebDriver,
        Self::Prefetch,
        Self::SpamReferrer,
        Self::DataCentre,
    ];

    /// The value of the dimension `traffic_reason`; empty: none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::InternalNetwork => "internal_network",
            Self::InternalParameter => "internal_parameter",
            Self::NoUserAgent => "no_user_agent",
            Self::CrawlerUserAgent => "crawler_user_agent",
            Self::NoBrowser => "no_browser",
            Self::Headless => "headless",
            Self::WebDriver => "webdriver",
            Self::Prefetch => "prefetch",
            Self::SpamReferrer => "spam_referrer",
            Self::DataCentre => "data_centre",
        }
    }

    /// The class that it speaks for.
    pub fn class(self) -> TrafficClass {
        match self {
            Self::None => TrafficClass::Human,
            Self::InternalNetwork | Self::InternalParameter => TrafficClass::Internal,
            Self::NoUserAgent
            | Self::CrawlerUserAgent
            | Self::NoBrowser
            | Self::Prefetch
            | Self::DataCentre => TrafficClass::Bot,
            Self::Headless | Self::WebDriver => TrafficClass::Automation,
            Self::SpamReferrer => TrafficClass::Spam,
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
    /// The page is on a host that the rules do not name among those whose hits are counted.
    ForeignHostname,
}

impl DropReason {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 4] =
        [Self::UnknownProperty, Self::UnknownTimeZone, Self::ImpossibleTime, Self::ForeignHostname];

    /// The label in metrics and `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownProperty => "unknown_property",
            Self::UnknownTimeZone => "unknown_time_zone",
            Self::ImpossibleTime => "impossible_time",
            Self::ForeignHostname => "foreign_hostname",
        }
    }

    /// Whether the property is known, so that it can be told of it.
    pub fn is_of_a_property(self) -> bool {
        matches!(self, Self::ImpossibleTime | Self::ForeignHostname)
    }
}

/// When hits that are not counted were received, in their property's zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Property id.
    pub property: Arc<str>,
    /// Local date, days since 1970-01-01.
    pub local_date: u16,
    /// Minutes since 1970-01-01T00:00Z.
    pub minute: u32,
    /// Offset of the property's zone at that instant, seconds.
    pub utc_offset_s: i32,
}

/// What user agent and client hints say of browser, system and device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// Browser family by uap-core; `Other` when it knows none.
    pub browser: Arc<str>,
    /// Its major version; empty: not said.
    pub browser_version: Arc<str>,
    /// Operating system family by uap-core; `Other` when it knows none.
    pub operating_system: Arc<str>,
    /// Its version, major or major and minor; empty: not said.
    pub operating_system_version: Arc<str>,
    /// `desktop`, `mobile`, `tablet`, `bot` or `other`.
    pub device: Arc<str>,
    /// Who made the device, e.g. `Apple`; empty: not said.
    pub device_brand: Arc<str>,
}

/// Where an address is. Texts are as the location database has them; empty: unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Arc<str>,
    /// Subdivision of the country.
    pub region: Arc<str>,
    /// City.
    pub city: Arc<str>,
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
    /// Whether the visitor was there before.
    pub visitor_type: VisitorType,
    /// Source of the visitor's first visit, by the client's own storage; `(not set)`: it does not say.
    pub first_source: Arc<str>,
}

/// In place of what the client does not say.
pub const NOT_SET: &str = "(not set)";

/// Whether a visitor was there before: by the client's own storage or, where the client says nothing, by this edge's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VisitorType {
    /// Neither says.
    #[default]
    NotSet,
    /// For the first time, by the client.
    New,
    /// Again, by the client.
    Returning,
    /// Not as far back as the edge's memory reaches.
    NewToEdge,
    /// The edge remembers a session.
    KnownToEdge,
}

impl VisitorType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::NotSet, Self::New, Self::Returning, Self::NewToEdge, Self::KnownToEdge];

    /// The value of the dimension `visitor_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSet => NOT_SET,
            Self::New => "new",
            Self::Returning => "returning",
            Self::NewToEdge => "new_to_edge",
            Self::KnownToEdge => "known_to_edge",
        }
    }
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
    /// Host of the page, without `www.`; empty: the hit has no page.
    pub hostname: Arc<str>,
    /// Where the address is.
    pub place: Arc<Place>,
    /// Browser, system and device.
    pub client: Arc<Client>,
    /// Who is behind it, and what speaks for that.
    pub traffic: TrafficReason,
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
    /// Whether its visitor was there before, by the client.
    pub visitor_type: VisitorType,
    /// Source of the visitor's first visit, by the client.
    pub first_source: Arc<str>,
    /// Whether it is a key event by the property's rules.
    pub is_key_event: bool,
    /// What was paid.
    pub revenue: Option<Revenue>,
    /// What was measured.
    pub values: Vec<MeasuredValue>,
    /// Title of the page, at most 300 bytes; empty: none was sent.
    pub page_title: Arc<str>,
    /// The goods that a shop event is about.
    pub items: Vec<ItemLine>,
    /// Values of the property's custom dimensions, as in `batch::HitRow::custom`.
    pub custom: Arc<str>,
    /// What it adds to the property's custom metrics.
    pub custom_micros: CustomSums,
    /// Visible and focused time, milliseconds.
    pub engagement_ms: u64,
    /// Whether its event is one that neither opens a session nor makes it longer, by the property's rules.
    pub is_passive: bool,
    /// The local day it lies in, if its rules end sessions at midnight.
    pub day: Option<Day>,
    /// The campaign it came with, if its rules begin a new session with another one.
    pub campaign: Option<Arc<Acquisition>>,
    /// What the rules it names say of every session.
    pub terms: SessionTerms,
}

/// When a session is over, and from when on it is engaged, by one version of a property's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionTerms {
    /// Time-out, milliseconds.
    pub timeout_ms: u64,
    /// How long after the time-out a session waits for late hits, milliseconds.
    pub grace_ms: u64,
    /// A session is engaged if it is longer than this, or has more engagement time, milliseconds.
    pub engaged_after_ms: u64,
    /// A session is engaged with at least this many page views.
    pub engaged_page_views: u64,
}

/// A day of a property's zone, in unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its first instant.
    pub from_ms: u64,
    /// The first instant of the day after.
    pub to_ms: u64,
}

/// Money in a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revenue {
    /// ISO 4217.
    pub currency: Arc<str>,
    /// Millionths of the currency's unit.
    pub micros: u64,
}

/// What a shop sells, in its own words; empty: not said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    /// The shop's id of it.
    pub id: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Brand.
    pub brand: Arc<str>,
    /// Category.
    pub category: Arc<str>,
    /// Variant, such as a size.
    pub variant: Arc<str>,
}

/// What an event does with its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemAction {
    /// Somebody looks at them.
    Viewed,
    /// They are put into a cart.
    AddedToCart,
    /// Their checkout begins.
    CheckedOut,
    /// They are bought.
    Purchased,
}

/// A line of goods of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemLine {
    /// What it is about.
    pub item: Item,
    /// Currency of the event, ISO 4217.
    pub currency: Arc<str>,
    /// Values of custom dimensions, of the event and of the item, as in `batch::HitRow::custom`.
    pub custom: Arc<str>,
    /// What the event does with it.
    pub action: ItemAction,
    /// How many.
    pub quantity: u64,
    /// What was paid, millionths of the currency's unit; 0 of what was not bought.
    pub revenue_micros: u64,
}

/// A value that was measured, of which percentiles are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeasuredValue {
    /// The value of the column `name`.
    pub name: &'static str,
    /// In the unit that the name says; of web vitals the middle of a bucket.
    pub value: u32,
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
