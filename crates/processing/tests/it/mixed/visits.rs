//! Visits as they were: who did what when, on which page, and by which protocol it was sent.

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The property of all visits.
pub(super) const PROPERTY: &str = "p_a";

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// 2026-06-01T00:00:00Z.
const START_MS: u64 = 1_780_272_000_000;
/// A session, or a client's session id, lasts 24 h at most: these days are too short for that.
const DAY_MS: u64 = 20 * HOUR;

/// A way to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wire {
    Own,
    OwnWithTimestamp,
    Ga4Query,
    Ga4Lines,
    Measurement,
    UniversalAnalytics,
    UniversalBatch,
    Plausible,
    Umami,
    UmamiBatch,
    MatomoQuery,
    MatomoBulk,
    SegmentBatch,
    SegmentCall,
    Snowplow,
    SnowplowQuery,
}

impl Wire {
    pub(super) const ALL: [Self; 16] = [
        Self::Own,
        Self::OwnWithTimestamp,
        Self::Ga4Query,
        Self::Ga4Lines,
        Self::Measurement,
        Self::UniversalAnalytics,
        Self::UniversalBatch,
        Self::Plausible,
        Self::Umami,
        Self::UmamiBatch,
        Self::MatomoQuery,
        Self::MatomoBulk,
        Self::SegmentBatch,
        Self::SegmentCall,
        Self::Snowplow,
        Self::SnowplowQuery,
    ];

    fn takes_many(self) -> bool {
        use Wire::*;
        matches!(
            self,
            Own | OwnWithTimestamp
                | Ga4Lines
                | Measurement
                | UniversalBatch
                | UmamiBatch
                | MatomoBulk
                | SegmentBatch
                | Snowplow
        )
    }

    /// Whether all events of a request are one client's.
    fn is_of_one_client(self) -> bool {
        matches!(self, Self::Ga4Lines | Self::Measurement)
    }

    fn says_when(self) -> bool {
        !matches!(self, Self::Ga4Query | Self::Ga4Lines | Self::Plausible)
    }

    fn says_session(self) -> bool {
        use Wire::*;
        matches!(self, Own | OwnWithTimestamp | Ga4Query | Ga4Lines | Measurement | Snowplow | SnowplowQuery)
    }

    /// Whether it can do without a client's id.
    fn can_be_cookieless(self) -> bool {
        use Wire::*;
        matches!(self, Own | OwnWithTimestamp | Plausible | Umami | UmamiBatch | MatomoQuery | MatomoBulk)
    }

    /// Whether it has a place for ids of hits.
    fn says_id(self) -> bool {
        use Wire::*;
        matches!(self, Own | OwnWithTimestamp | SegmentBatch | SegmentCall | Snowplow | SnowplowQuery)
    }
}

/// Somebody, as far as anybody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitor {
    /// A client with this id.
    Client(u64),
    /// A browser of this version, without an id.
    Browser(u64),
}

/// One thing that a visitor did.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) visitor: Visitor,
    /// The client's session, if the protocol says it.
    pub(super) session: Option<u64>,
    /// Unix milliseconds, whole seconds: some protocols know no finer ones.
    pub(super) time_ms: u64,
    /// Whether it is a page view; otherwise a sign-up.
    pub(super) is_page_view: bool,
    /// Each has a page of its own.
    pub(super) page: usize,
}

/// Events in one request.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) wire: Wire,
    pub(super) events: Vec<Event>,
    /// Whether it is sent twice, as by a client that had no answer.
    pub(super) twice: bool,
}

/// An event before its time and page are known: person, session, age, whether it is a page view.
type Drawn = (u64, Option<u64>, u64, bool);

fn event() -> impl Strategy<Value = Drawn> {
    let ages = vec![0, 0, 0, SECOND, 11 * SECOND, 10 * MINUTE, 29 * MINUTE + 30 * SECOND, 30 * MINUTE, HOUR];
    (0..3_u64, weighted_session(), select(ages), weighted(0.7))
}

fn weighted_session() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.3, 1..3_u64)
}

fn request() -> impl Strategy<Value = (Wire, bool, bool, Vec<Drawn>)> {
    (select(Wire::ALL.to_vec()), any::<bool>(), weighted(0.2), vec(event(), 1..4))
}

/// Blocks of a day, each with the time it is received. The last one comes when everything is over.
pub(super) fn day() -> impl Strategy<Value = Vec<(u64, Vec<Sent>)>> {
    let pauses = vec![
        0,
        SECOND,
        10 * SECOND,
        10 * MINUTE,
        29 * MINUTE + 30 * SECOND,
        30 * MINUTE,
        30 * MINUTE + SECOND,
        35 * MINUTE,
        2 * HOUR,
    ];
    vec((select(pauses), vec(request(), 0..4)), 1..30).prop_map(|blocks| {
        let (mut now, mut pages) = (START_MS, 0);
        let mut day = Vec::new();
        for (pause, requests) in blocks {
            if now + pause > START_MS + DAY_MS {
                break;
            }
            now += pause;
            day.push((now, requests.into_iter().map(|request| sent(request, now, &mut pages)).collect()));
        }
        day.push((now + 2 * HOUR, Vec::new()));
        day
    })
}

/// The request with what its protocol can say.
fn sent(drawn: (Wire, bool, bool, Vec<Drawn>), now: u64, pages: &mut usize) -> Sent {
    let (wire, cookieless, twice, mut drawn) = drawn;
    if !wire.takes_many() {
        drawn.truncate(1);
    }
    let is_cookieless = wire == Wire::Plausible || cookieless && wire.can_be_cookieless();
    let first = drawn[0].0;
    let one_person = is_cookieless || wire.is_of_one_client();
    let event = |(person, session, age, is_page_view): Drawn| {
        let person = if one_person { first } else { person };
        *pages += 1;
        Event {
            visitor: if is_cookieless { Visitor::Browser(person) } else { Visitor::Client(person) },
            session: session.filter(|_| wire.says_session()),
            time_ms: if wire.says_when() { now - age } else { now },
            is_page_view,
            page: *pages,
        }
    };
    Sent { wire, events: drawn.into_iter().map(event).collect(), twice: twice && wire.says_id() }
}
