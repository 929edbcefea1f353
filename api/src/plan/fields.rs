//! Metrics and dimensions: their names, what they are made of, and which go together.
//!
//! Metrics of hits (`visitors new_visitors page_views events engagement_time`) come from hit rows and go with
//! everything a hit has. Metrics of closed sessions (`engaged_sessions bounce_rate session_duration`) come from session
//! rows and go with everything a session has; `sessions` is both: sessions opened, except that a report that names
//! `entry_page` or `exit_page` looks at closed sessions only, so that entries and exits add up to the same number.

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
}

/// What the rows of a measure are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Hits.
    Hits,
    /// Closed sessions.
    Sessions,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 9] = [
        Self::Visitors,
        Self::NewVisitors,
        Self::Sessions,
        Self::EngagedSessions,
        Self::BounceRate,
        Self::PageViews,
        Self::Events,
        Self::SessionDuration,
        Self::EngagementTime,
    ];

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
        }
    }

    /// The metric of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
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
        }
    }

    /// Why it cannot be had by this dimension, and what can; `None` when it can.
    pub fn refuses(self, dimension: Dimension) -> Option<&'static str> {
        let of_sessions =
            matches!(self, Self::Sessions | Self::EngagedSessions | Self::BounceRate | Self::SessionDuration);
        match dimension {
            Dimension::PagePath if of_sessions => {
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
    pub const ALL: [Self; 16] = [
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

    /// Whether naming it makes a report one on closed sessions.
    pub fn is_of_closed_sessions(self) -> bool {
        matches!(self, Self::EntryPage | Self::ExitPage)
    }
}

impl Measure {
    /// Number of measures.
    pub const COUNT: usize = 9;

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
        }
    }

    /// Which rows it comes from.
    pub fn subject(self) -> Subject {
        match self {
            Self::SessionsClosed | Self::SessionsEngaged | Self::DurationMs => Subject::Sessions,
            _ => Subject::Hits,
        }
    }
}

/// The names of a list of fields, for messages.
pub fn names(fields: impl IntoIterator<Item = &'static str>) -> String {
    fields.into_iter().collect::<Vec<_>>().join(" ")
}
