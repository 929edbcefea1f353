//! Metrics and dimensions: their names, what they are made of, and which go together.
//!
//! Metrics of hits (`visitors new_visitors page_views events engagement_time` and others) come from hit rows and go with
//! everything a hit has. Metrics of closed sessions (`engaged_sessions bounce_rate session_duration`) come from session
//! rows and go with everything a session has; `sessions` is both: sessions opened, except that a report that names
//! `entry_page` or `exit_page` looks at closed sessions only, so that entries and exits add up to the same number.
//! Percentiles come from value rows and go with everything a hit has but its event; so do metrics of items, which come from item rows and
//! alone go with what an item is. `refused_hits` come from rows of their own, which have a
//! time and a reason alone.

/// A number of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are those of `interfaces.md`
pub enum Metric {
    Visitors,
    NewVisitors,
    Sessions,
    EngagedSessions,
    BounceRate,
    PageViews,
    Events,
    SessionDuration,
    EngagementTime,
    KeyEvents,
    Revenue,
    /// By slot, from 1.
    Custom(u8),
    ItemsViewed,
    ItemsAddedToCart,
    ItemsCheckedOut,
    ItemsPurchased,
    ItemRevenue,
    RefusedHits,
    Percentile(Measured, Percentile),
}

/// What percentiles are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measured {
    /// Largest Contentful Paint.
    Lcp,
    /// Interaction to Next Paint.
    Inp,
    /// Cumulative Layout Shift.
    Cls,
    /// First Contentful Paint.
    Fcp,
    /// Time to First Byte.
    Ttfb,
    /// How far a page was read.
    ScrollDepth,
}

/// So many of a hundred values are this or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Percentile {
    P50,
    P75,
    P95,
}

/// A column that a report is grouped or filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are those of `interfaces.md`
pub enum Dimension {
    Date,
    DateHour,
    Hour,
    PagePath,
    EntryPage,
    ExitPage,
    Source,
    Medium,
    Campaign,
    Channel,
    Country,
    Device,
    Browser,
    OperatingSystem,
    EventName,
    TrafficClass,
    TrafficReason,
    Hostname,
    Region,
    City,
    BrowserVersion,
    OperatingSystemVersion,
    DeviceBrand,
    VisitorType,
    FirstSource,
    Currency,
    PageTitle,
    ItemId,
    ItemName,
    ItemBrand,
    ItemCategory,
    ItemVariant,
    /// By slot, from 1.
    Custom(u8),
    RefusalReason,
}

/// A sum or set in the warehouse; metrics are made of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Distinct visitors.
    Visitors,
    /// Distinct new visitors.
    NewVisitors,
    /// Sessions opened.
    SessionsOpened,
    /// Sessions closed.
    SessionsClosed,
    /// Closed sessions that were engaged.
    SessionsEngaged,
    /// Length of closed sessions, milliseconds.
    DurationMs,
    /// Page views.
    PageViews,
    /// Hits.
    Events,
    /// Visible and focused time, milliseconds.
    EngagementMs,
    /// Hits that are key events.
    KeyEvents,
    /// Millionths of the currency's unit.
    RevenueMicros,
    /// Millionths of a custom metric, by slot from 1.
    CustomMicros(u8),
    /// Items viewed.
    ItemsViewed,
    /// Items put into a cart.
    ItemsAddedToCart,
    /// Items of checkouts that began.
    ItemsCheckedOut,
    /// Items bought.
    ItemsPurchased,
    /// What was paid for items, millionths of the currency's unit.
    ItemRevenueMicros,
    /// Hits that were not counted.
    RefusedHits,
    /// A percentile, in the unit of the values.
    Percentile(Measured, Percentile),
}

/// What the rows of a measure are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Hits.
    Hits,
    /// Closed sessions.
    Sessions,
    /// Measured values.
    Values,
    /// Items of shop events.
    Items,
    /// Hits that were not counted.
    Refusals,
}

/// Every percentile there is.
const PERCENTILES: [(Measured, Percentile, &str); 18] = [
    (Measured::Lcp, Percentile::P50, "lcp_p50"),
    (Measured::Lcp, Percentile::P75, "lcp_p75"),
    (Measured::Lcp, Percentile::P95, "lcp_p95"),
    (Measured::Inp, Percentile::P50, "inp_p50"),
    (Measured::Inp, Percentile::P75, "inp_p75"),
    (Measured::Inp, Percentile::P95, "inp_p95"),
    (Measured::Cls, Percentile::P50, "cls_p50"),
    (Measured::Cls, Percentile::P75, "cls_p75"),
    (Measured::Cls, Percentile::P95, "cls_p95"),
    (Measured::Fcp, Percentile::P50, "fcp_p50"),
    (Measured::Fcp, Percentile::P75, "fcp_p75"),
    (Measured::Fcp, Percentile::P95, "fcp_p95"),
    (Measured::Ttfb, Percentile::P50, "ttfb_p50"),
    (Measured::Ttfb, Percentile::P75, "ttfb_p75"),
    (Measured::Ttfb, Percentile::P95, "ttfb_p95"),
    (Measured::ScrollDepth, Percentile::P50, "scroll_depth_p50"),
    (Measured::ScrollDepth, Percentile::P75, "scroll_depth_p75"),
    (Measured::ScrollDepth, Percentile::P95, "scroll_depth_p95"),
];

/// The place of a percentile among [`PERCENTILES`].
const fn place(measured: Measured, percentile: Percentile) -> usize {
    measured as usize * 3 + percentile as usize
}

impl Metric {
    /// Every metric but the percentiles.
    pub const COUNTED: [Self; 22] = [
        Self::Visitors,
        Self::NewVisitors,
        Self::Sessions,
        Self::EngagedSessions,
        Self::BounceRate,
        Self::PageViews,
        Self::Events,
        Self::SessionDuration,
        Self::EngagementTime,
        Self::KeyEvents,
        Self::Revenue,
        Self::Custom(1),
        Self::Custom(2),
        Self::Custom(3),
        Self::Custom(4),
        Self::Custom(5),
        Self::ItemsViewed,
        Self::ItemsAddedToCart,
        Self::ItemsCheckedOut,
        Self::ItemsPurchased,
        Self::ItemRevenue,
        Self::RefusedHits,
    ];

    /// Every metric.
    pub fn all() -> impl Iterator<Item = Self> {
        let percentiles =
            PERCENTILES.iter().map(|(measured, percentile, _)| Self::Percentile(*measured, *percentile));
        Self::COUNTED.into_iter().chain(percentiles)
    }

    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visitors => "visitors",
            Self::NewVisitors => "new_visitors",
            Self::Sessions => "sessions",
            Self::EngagedSessions => "engaged_sessions",
            Self::BounceRate => "bounce_rate",
            Self::PageViews => "page_views",
            Self::Events => "events",
            Self::SessionDuration => "session_duration",
            Self::EngagementTime => "engagement_time",
            Self::KeyEvents => "key_events",
            Self::Revenue => "revenue",
            Self::Custom(1) => "custom_metric_1",
            Self::Custom(2) => "custom_metric_2",
            Self::Custom(3) => "custom_metric_3",
            Self::Custom(4) => "custom_metric_4",
            Self::Custom(_) => "custom_metric_5",
            Self::ItemsViewed => "items_viewed",
            Self::ItemsAddedToCart => "items_added_to_cart",
            Self::ItemsCheckedOut => "items_checked_out",
            Self::ItemsPurchased => "items_purchased",
            Self::ItemRevenue => "item_revenue",
            Self::RefusedHits => "refused_hits",
            Self::Percentile(measured, percentile) => {
                PERCENTILES.get(place(measured, percentile)).map_or("", |(_, _, name)| name)
            }
        }
    }

    /// The metric of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|metric| metric.name() == name)
    }

    /// Whether the narrowest table has it. Money has a currency, which is a dimension; custom metrics are few sites'.
    pub fn is_in_totals(self) -> bool {
        !matches!(self, Self::Revenue | Self::Custom(_))
    }

    /// What it is made of, in a report on closed sessions only or in any other.
    pub fn measures(self, closed_sessions_only: bool) -> &'static [Measure] {
        match self {
            Self::Visitors => &[Measure::Visitors],
            Self::NewVisitors => &[Measure::NewVisitors],
            Self::Sessions if closed_sessions_only => &[Measure::SessionsClosed],
            Self::Sessions => &[Measure::SessionsOpened],
            Self::EngagedSessions => &[Measure::SessionsEngaged],
            Self::BounceRate => &[Measure::SessionsClosed, Measure::SessionsEngaged],
            Self::PageViews => &[Measure::PageViews],
            Self::Events => &[Measure::Events],
            Self::SessionDuration => &[Measure::SessionsClosed, Measure::DurationMs],
            Self::EngagementTime => &[Measure::EngagementMs],
            Self::KeyEvents => &[Measure::KeyEvents],
            Self::Revenue => &[Measure::RevenueMicros],
            Self::Custom(1) => &[Measure::CustomMicros(1)],
            Self::Custom(2) => &[Measure::CustomMicros(2)],
            Self::Custom(3) => &[Measure::CustomMicros(3)],
            Self::Custom(4) => &[Measure::CustomMicros(4)],
            Self::Custom(_) => &[Measure::CustomMicros(5)],
            Self::ItemsViewed => &[Measure::ItemsViewed],
            Self::ItemsAddedToCart => &[Measure::ItemsAddedToCart],
            Self::ItemsCheckedOut => &[Measure::ItemsCheckedOut],
            Self::ItemsPurchased => &[Measure::ItemsPurchased],
            Self::ItemRevenue => &[Measure::ItemRevenueMicros],
            Self::RefusedHits => &[Measure::RefusedHits],
            Self::Percentile(measured, percentile) => {
                Measure::PERCENTILES.get(place(measured, percentile)).map_or(&[], std::slice::from_ref)
            }
        }
    }

    /// Whether it is an amount of money, which is never added up over currencies.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Revenue | Self::ItemRevenue)
    }

    /// Whether it is of the items of shop events.
    pub fn is_of_items(self) -> bool {
        matches!(
            self,
            Self::ItemsViewed
                | Self::ItemsAddedToCart
                | Self::ItemsCheckedOut
                | Self::ItemsPurchased
                | Self::ItemRevenue
        )
    }

    /// Why it cannot be had by this dimension, and what can; `None` when it can.
    pub fn refuses(self, dimension: Dimension) -> Option<&'static str> {
        let of_sessions =
            matches!(self, Self::Sessions | Self::EngagedSessions | Self::BounceRate | Self::SessionDuration);
        let is_percentile = matches!(self, Self::Percentile(..));
        let of_items = self.is_of_items();
        match dimension {
            Dimension::Date | Dimension::DateHour | Dimension::Hour => None,
            Dimension::RefusalReason if self == Self::RefusedHits => None,
            Dimension::RefusalReason => Some("only hits that were not counted have one; use refused_hits"),
            _ if self == Self::RefusedHits => Some(
                "what was not counted has a time and a reason alone; use date, date_hour, hour or refusal_reason",
            ),
            dimension if dimension.is_of_items() && !of_items => Some(
                "only items have it; use items_viewed, items_added_to_cart, items_checked_out, items_purchased or item_revenue",
            ),
            Dimension::EventName if of_items => Some(
                "items are told by what became of them, not by the event; use items_viewed, items_purchased and the like",
            ),
            Dimension::Currency if of_sessions || is_percentile => Some(
                "only money has a currency; use revenue, item_revenue, or events and visitors of the hits that brought some",
            ),
            Dimension::Custom(_) if of_sessions || is_percentile => Some(
                "only hits and items have custom dimensions; use events, page_views, visitors, key_events or revenue",
            ),
            Dimension::PageTitle if is_percentile || of_items => {
                Some("values and items are told by page, not by its title; use page_path")
            }
            Dimension::EventName if is_percentile => {
                Some("values are told by page, not by the event that brought them; use page_path")
            }
            Dimension::PagePath | Dimension::PageTitle if of_sessions => {
                Some("a session has many pages; use entry_page or exit_page, or page_views and visitors")
            }
            Dimension::EventName if of_sessions => {
                Some("a session has many events; use events, page_views or visitors")
            }
            Dimension::EntryPage | Dimension::ExitPage if !of_sessions => Some(
                "it belongs to sessions; use page_path, or sessions, engaged_sessions, bounce_rate, session_duration",
            ),
            _ => None,
        }
    }
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 38] = [
        Self::Date,
        Self::DateHour,
        Self::Hour,
        Self::PagePath,
        Self::EntryPage,
        Self::ExitPage,
        Self::Source,
        Self::Medium,
        Self::Campaign,
        Self::Channel,
        Self::Country,
        Self::Device,
        Self::Browser,
        Self::OperatingSystem,
        Self::EventName,
        Self::TrafficClass,
        Self::TrafficReason,
        Self::Hostname,
        Self::Region,
        Self::City,
        Self::BrowserVersion,
        Self::OperatingSystemVersion,
        Self::DeviceBrand,
        Self::VisitorType,
        Self::FirstSource,
        Self::Currency,
        Self::PageTitle,
        Self::ItemId,
        Self::ItemName,
        Self::ItemBrand,
        Self::ItemCategory,
        Self::ItemVariant,
        Self::Custom(1),
        Self::Custom(2),
        Self::Custom(3),
        Self::Custom(4),
        Self::Custom(5),
        Self::RefusalReason,
    ];

    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::DateHour => "date_hour",
            Self::Hour => "hour",
            Self::PagePath => "page_path",
            Self::EntryPage => "entry_page",
            Self::ExitPage => "exit_page",
            Self::Source => "source",
            Self::Medium => "medium",
            Self::Campaign => "campaign",
            Self::Channel => "channel",
            Self::Country => "country",
            Self::Device => "device",
            Self::Browser => "browser",
            Self::OperatingSystem => "operating_system",
            Self::EventName => "event_name",
            Self::TrafficClass => "traffic_class",
            Self::TrafficReason => "traffic_reason",
            Self::Hostname => "hostname",
            Self::Region => "region",
            Self::City => "city",
            Self::BrowserVersion => "browser_version",
            Self::OperatingSystemVersion => "operating_system_version",
            Self::DeviceBrand => "device_brand",
            Self::VisitorType => "visitor_type",
            Self::FirstSource => "first_source",
            Self::Currency => "currency",
            Self::PageTitle => "page_title",
            Self::ItemId => "item_id",
            Self::ItemName => "item_name",
            Self::ItemBrand => "item_brand",
            Self::ItemCategory => "item_category",
            Self::ItemVariant => "item_variant",
            Self::Custom(1) => "custom_1",
            Self::Custom(2) => "custom_2",
            Self::Custom(3) => "custom_3",
            Self::Custom(4) => "custom_4",
            Self::Custom(_) => "custom_5",
            Self::RefusalReason => "refusal_reason",
        }
    }

    /// The dimension of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }

    /// Whether the narrowest table has it.
    pub fn is_in_totals(self) -> bool {
        matches!(self, Self::Date | Self::DateHour | Self::Hour | Self::TrafficClass)
    }

    /// Whether only items have it.
    fn is_of_items(self) -> bool {
        matches!(
            self,
            Self::ItemId | Self::ItemName | Self::ItemBrand | Self::ItemCategory | Self::ItemVariant
        )
    }

    /// Whether naming it makes a report one on closed sessions.
    pub fn is_of_closed_sessions(self) -> bool {
        matches!(self, Self::EntryPage | Self::ExitPage)
    }
}

impl Measure {
    /// Number of measures.
    pub const COUNT: usize = Self::COUNTED + PERCENTILES.len();

    /// Of these, all but the percentiles.
    const COUNTED: usize = 22;

    const PERCENTILES: [Self; PERCENTILES.len()] = {
        let mut all = [Self::Visitors; PERCENTILES.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self::Percentile(PERCENTILES[at].0, PERCENTILES[at].1);
            at += 1;
        }
        all
    };

    /// Its place in a row's array.
    pub fn index(self) -> usize {
        match self {
            Self::Visitors => 0,
            Self::NewVisitors => 1,
            Self::SessionsOpened => 2,
            Self::SessionsClosed => 3,
            Self::SessionsEngaged => 4,
            Self::DurationMs => 5,
            Self::PageViews => 6,
            Self::Events => 7,
            Self::EngagementMs => 8,
            Self::KeyEvents => 9,
            Self::RevenueMicros => 10,
            Self::CustomMicros(slot @ 1..=4) => 10 + usize::from(slot),
            Self::CustomMicros(_) => 15,
            Self::ItemsViewed => 16,
            Self::ItemsAddedToCart => 17,
            Self::ItemsCheckedOut => 18,
            Self::ItemsPurchased => 19,
            Self::ItemRevenueMicros => 20,
            Self::RefusedHits => 21,
            Self::Percentile(measured, percentile) => Self::COUNTED + place(measured, percentile),
        }
    }

    /// Which rows it comes from.
    pub fn subject(self) -> Subject {
        match self {
            Self::SessionsClosed | Self::SessionsEngaged | Self::DurationMs => Subject::Sessions,
            Self::Percentile(..) => Subject::Values,
            Self::ItemsViewed
            | Self::ItemsAddedToCart
            | Self::ItemsCheckedOut
            | Self::ItemsPurchased
            | Self::ItemRevenueMicros => Subject::Items,
            Self::RefusedHits => Subject::Refusals,
            _ => Subject::Hits,
        }
    }
}

/// The names of a list of fields, for messages.
pub fn names(fields: impl IntoIterator<Item = &'static str>) -> String {
    fields.into_iter().collect::<Vec<_>>().join(" ")
}
