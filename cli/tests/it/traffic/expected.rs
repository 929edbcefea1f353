//! What was acknowledged, counted by the client, and what reports must say therefore: per property, class, event and day.
//!
//! The edge stamps a hit at some moment from the first attempt to the answer. Where a local midnight lies between the two,
//! either day is right: such a hit is *possible* on both days and *certain* on none; sums over days are exact always.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::workload::{HitOf, PAGE_VIEW, Request};

const MS_PER_DAY: i64 = 86_400_000;

/// A local date, `2026-03-01`.
pub(super) type Day = String;

/// From the first attempt to the answer, unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Window {
    /// The local dates that a hit of this age may have.
    fn days(self, age_ms: u64, utc_offset_s: i64) -> BTreeSet<Day> {
        let age_ms = i64::try_from(age_ms).unwrap();
        let day = |at_ms: i64| (at_ms - age_ms + utc_offset_s * 1_000).div_euclid(MS_PER_DAY);
        (day(self.from_ms)..=day(self.to_ms)).map(date).collect()
    }
}

/// The date so many days after 1970-01-01.
fn date(days: i64) -> Day {
    jiff::Timestamp::from_second(days * 86_400).unwrap().strftime("%Y-%m-%d").to_string()
}

/// How many there must be, and may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) certain: u64,
    pub(super) possible: u64,
}

impl Bounds {
    pub(super) fn allow(self, count: u64) -> bool {
        (self.certain..=self.possible).contains(&count)
    }
}

/// Hits of one property and class.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// By event, then day.
    pub(super) events: BTreeMap<&'static str, BTreeMap<Day, Bounds>>,
    /// Hits by event.
    pub(super) totals: BTreeMap<&'static str, u64>,
    /// For each session, the days that its hits may lie in: a client has one at each edge, for the run is shorter than a
    /// session's time-out.
    sessions: BTreeMap<(usize, String), BTreeSet<Day>>,
    /// By client, the days on which it must or may have been seen.
    visits: BTreeMap<String, BTreeMap<Day, bool>>,
}

impl Figures {
    fn add(&mut self, edge: usize, hit: &HitOf, days: &BTreeSet<Day>) {
        let is_certain = days.len() == 1;
        *self.totals.entry(hit.event).or_default() += 1;
        let session = self.sessions.entry((edge, hit.client.clone())).or_default();
        for day in days {
            let bounds = self.events.entry(hit.event).or_default().entry(day.clone()).or_default();
            bounds.certain += u64::from(is_certain);
            bounds.possible += 1;
            *self.visits.entry(hit.client.clone()).or_default().entry(day.clone()).or_default() |= is_certain;
            session.insert(day.clone());
        }
    }

    pub(super) fn session_count(&self) -> u64 {
        u64::try_from(self.sessions.len()).unwrap()
    }

    /// Sessions by the day of their first hit.
    pub(super) fn sessions_by_day(&self) -> BTreeMap<Day, Bounds> {
        let mut by_day: BTreeMap<Day, Bounds> = BTreeMap::new();
        for days in self.sessions.values() {
            for day in days {
                let bounds = by_day.entry(day.clone()).or_default();
                bounds.certain += u64::from(days.len() == 1);
                bounds.possible += 1;
            }
        }
        by_day
    }

    /// Visitors by day: whoever was seen at both edges is one, for client ids are the property's.
    pub(super) fn visitors_by_day(&self) -> BTreeMap<Day, Bounds> {
        let mut by_day: BTreeMap<Day, Bounds> = BTreeMap::new();
        for (day, is_certain) in self.visits.values().flatten() {
            let bounds = by_day.entry(day.clone()).or_default();
            bounds.certain += u64::from(*is_certain);
            bounds.possible += 1;
        }
        by_day
    }
}

/// What was sent and answered.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(super) figures: BTreeMap<(usize, &'static str), Figures>,
    pub(super) requests: u64,
    /// Attempts that got no answer, or were told to come again.
    pub(super) unanswered: u64,
    /// Hits in answers with success, repeats included.
    pub(super) acknowledged: u64,
    repeated_on_purpose: u64,
    /// Hits that the other edge counted too.
    at_both_edges: u64,
}

impl Expected {
    /// A request was answered as often as it was to be, by this edge. `is_second`: after the other one.
    pub(super) fn count(
        &mut self,
        request: &Request,
        edge: usize,
        is_second: bool,
        window: Window,
        utc_offset_s: i64,
    ) {
        let again = if request.is_sent_again && !is_second { request.length() } else { 0 };
        self.repeated_on_purpose += u64::from(request.has_first_twice) + again;
        let class = if request.is_bot { "bot" } else { "human" };
        let figures = self.figures.entry((request.site, class)).or_default();
        for hit in &request.hits {
            figures.add(edge, hit, &window.days(hit.age_ms, utc_offset_s));
            self.at_both_edges += u64::from(is_second);
        }
    }

    /// By traffic class.
    pub(super) fn of_site(&self, index: usize) -> BTreeMap<&'static str, &Figures> {
        let mine = self.figures.iter().filter(|((site, _), _)| *site == index);
        mine.map(|((_, class), figures)| (*class, figures)).collect()
    }

    /// Hits by traffic class, as `status` says it.
    pub(crate) fn by_class(&self) -> Value {
        let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, class), figures) in &self.figures {
            *classes.entry(class).or_default() += figures.totals.values().sum::<u64>();
        }
        json!(classes)
    }

    /// Hits with different ids, counted for each edge: what live numbers are the sum of.
    pub(crate) fn counted_hits(&self) -> u64 {
        self.figures.values().flat_map(|figures| figures.totals.values()).sum()
    }

    /// Hits that live numbers hold twice: one id at two edges.
    pub(crate) fn at_both_edges(&self) -> u64 {
        self.at_both_edges
    }

    /// Hits in answers with success.
    pub(crate) fn acknowledged_hits(&self) -> u64 {
        self.acknowledged
    }

    /// Hits that were sent again, to the same edge, although they had been answered.
    pub(crate) fn repeated_on_purpose(&self) -> u64 {
        self.repeated_on_purpose
    }

    /// One line for the test's output.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} hits in {} answers acknowledged; {} hits repeated on purpose, {} attempts without success sent again",
            self.counted_hits(),
            self.requests,
            self.repeated_on_purpose,
            self.unanswered
        )
    }
}

/// Page views among hits of an event.
pub(super) fn page_views(event: &str, hits: u64) -> u64 {
    if event == PAGE_VIEW { hits } else { 0 }
}

#[test]
fn a_hit_near_midnight_may_be_of_either_day() {
    // 2026-03-01T18:29:59.500Z is half a second before midnight in India.
    let window = Window { from_ms: 1_772_389_799_500, to_ms: 1_772_389_799_900 };
    let days = |window: Window, age_ms: u64, offset_s: i64| -> Vec<Day> {
        window.days(age_ms, offset_s).into_iter().collect()
    };
    assert_eq!(days(window, 0, 0), ["2026-03-01"]);
    assert_eq!(days(window, 0, 19_800), ["2026-03-01"]);
    assert_eq!(days(window, 86_400_000, 19_800), ["2026-02-28"]);
    let across = Window { to_ms: window.to_ms + 200, ..window };
    assert_eq!(days(across, 0, 19_800), ["2026-03-01", "2026-03-02"]);
    assert_eq!(days(across, 0, 0), ["2026-03-01"]);
}
