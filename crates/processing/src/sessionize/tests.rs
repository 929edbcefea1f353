//! Sessions, case by case: each test says one sentence of the definitions.

use super::*;
use crate::handover::{Client, Day, Dimensions, Place, SessionTerms, TrafficReason, VisitorType};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Google Analytics 4's.
const TERMS: SessionTerms = SessionTerms {
    timeout_ms: 30 * MINUTE,
    grace_ms: 5 * MINUTE,
    engaged_after_ms: 10_000,
    engaged_page_views: 2,
};
/// Times count from here, so that they may go below.
const START: u64 = 1_000 * HOUR;

/// A page view of visitor 1 at this time, received at once; time-out 30 min, grace 5 min.
fn hit(event_time_ms: u64) -> EnrichedHit {
    let client = Client {
        browser: "".into(),
        browser_version: "".into(),
        operating_system: "".into(),
        operating_system_version: "".into(),
        device: "other".into(),
        device_brand: "".into(),
    };
    let place = Place { country: "".into(), region: "".into(), city: "".into() };
    EnrichedHit {
        dimensions: Dimensions {
            property: "p_a".into(),
            local_date: 0,
            minute: u32::try_from(event_time_ms / MINUTE).unwrap(),
            utc_offset_s: 0,
            page_path: format!("/{}", event_time_ms / MINUTE).into(),
            hostname: "".into(),
            place: Arc::new(place),
            client: Arc::new(client),
            traffic: TrafficReason::None,
        },
        event: "page_view".into(),
        is_page_view: true,
        event_time_ms,
        received_at_ms: event_time_ms,
        visitor_id: 1,
        previous_visitor_id: None,
        session_id: None,
        has_client_id: false,
        first_visit: false,
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
        is_key_event: false,
        revenue: None,
        values: Vec::new(),
        page_title: "".into(),
        items: Vec::new(),
        custom: "".into(),
        custom_micros: [0; 5],
        engagement_ms: 0,
        is_passive: false,
        day: None,
        campaign: None,
        terms: TERMS,
    }
}

fn acquired(source: &str) -> Acquisition {
    Acquisition {
        source: source.into(),
        medium: "".into(),
        campaign: "".into(),
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
    }
}

fn sessions() -> Sessions {
    Sessions::new(100)
}

fn opens(sessions: &mut Sessions, hit: &EnrichedHit) -> bool {
    sessions.begin_block(hit.received_at_ms);
    sessions.place(hit, || acquired("any")).opens_session
}

/// (page views, events, duration) of the sessions that were closed.
fn closed(sessions: &mut Sessions) -> Vec<(u64, u64, u64)> {
    sessions.take_closed().iter().map(|s| (s.page_views, s.events, s.duration_ms)).collect()
}

#[test]
fn hit_joins_within_the_timeout_and_not_a_millisecond_later() {
    let mut all = sessions();
    assert!(opens(&mut all, &hit(START)));
    assert!(!opens(&mut all, &hit(START + 30 * MINUTE)));
    assert!(opens(&mut all, &hit(START + 60 * MINUTE + 1)));
    assert_eq!(closed(&mut all), [(2, 2, 30 * MINUTE)]);
}

#[test]
fn late_hit_joins_back_to_the_timeout_and_an_older_one_stands_alone() {
    let mut all = sessions();
    opens(&mut all, &hit(START));
    assert!(!opens(&mut all, &EnrichedHit { received_at_ms: START, ..hit(START - 30 * MINUTE) }));
    assert!(opens(&mut all, &EnrichedHit { received_at_ms: START, ..hit(START - 60 * MINUTE - 1) }));
    assert_eq!(closed(&mut all), [(1, 1, 0)], "the older one is over at once");
    assert!(!opens(&mut all, &hit(START + MINUTE)), "the open session is still there");
}

#[test]
fn session_lasts_24_hours_at_most() {
    let mut all = sessions();
    for quarter in 0..=96 {
        assert_eq!(opens(&mut all, &hit(START + quarter * 15 * MINUTE)), quarter == 0);
    }
    assert!(opens(&mut all, &hit(START + 24 * HOUR + 1)));
    assert_eq!(closed(&mut all), [(97, 97, 24 * HOUR)]);
}

#[test]
fn session_is_over_after_timeout_and_grace_of_received_time() {
    let mut all = sessions();
    // Came 10 minutes late: the waiting begins when it was received.
    opens(&mut all, &EnrichedHit { received_at_ms: START + 10 * MINUTE, ..hit(START) });
    all.on_time(START + 45 * MINUTE - 1);
    assert_eq!(closed(&mut all), []);
    all.on_time(START + 45 * MINUTE);
    assert_eq!(closed(&mut all), [(1, 1, 0)]);
    assert_eq!(all.open_count(), 0);
    all.on_time(u64::MAX);
    assert_eq!(closed(&mut all), []);
}

#[test]
fn rules_of_the_latest_hit_decide_when_it_is_over() {
    let mut all = sessions();
    opens(&mut all, &hit(START));
    let terms = SessionTerms { timeout_ms: MINUTE, grace_ms: 0, ..TERMS };
    let changed = EnrichedHit { terms, ..hit(START + MINUTE) };
    assert!(!opens(&mut all, &changed));
    all.on_time(START + 2 * MINUTE);
    assert_eq!(closed(&mut all), [(2, 2, MINUTE)]);
}

#[test]
fn import_mark_closes_what_it_has_passed() {
    let mut all = sessions();
    let now = START + 1_000 * HOUR;
    let imported = |time| EnrichedHit { received_at_ms: now, ..hit(time) };
    opens(&mut all, &imported(START));
    opens(&mut all, &EnrichedHit { visitor_id: 2, ..imported(START + 1) });
    all.on_import_mark("p_b", START + 100 * HOUR, now);
    all.on_import_mark("p_a", START + 35 * MINUTE - 1, now);
    assert_eq!(closed(&mut all), []);
    all.on_import_mark("p_a", START + 35 * MINUTE, now);
    assert_eq!(closed(&mut all).len(), 1);
    assert_eq!(all.open_count(), 1);
}

#[test]
fn visitor_of_the_day_before_carries_the_session_over_midnight() {
    let mut all = sessions();
    opens(&mut all, &hit(START));
    let today = EnrichedHit { visitor_id: 2, previous_visitor_id: Some(1), ..hit(START + MINUTE) };
    assert!(!opens(&mut all, &today));
    let later = EnrichedHit { visitor_id: 2, ..hit(START + 31 * MINUTE) };
    assert!(!opens(&mut all, &later), "known by the new id");
    let late = EnrichedHit { received_at_ms: START + 31 * MINUTE, ..hit(START + 1) };
    assert!(!opens(&mut all, &late), "and by the old one");
    all.on_time(u64::MAX);
    assert_eq!(closed(&mut all), [(4, 4, 31 * MINUTE)]);
}

#[test]
fn classes_and_properties_do_not_share_sessions() {
    let mut all = sessions();
    opens(&mut all, &hit(START));
    let mut other = hit(START);
    other.dimensions.property = "p_b".into();
    assert!(opens(&mut all, &other));
    let mut bot = hit(START);
    bot.dimensions.traffic = TrafficReason::CrawlerUserAgent;
    assert!(opens(&mut all, &bot));
    assert_eq!(all.open_count(), 3);
}

#[test]
fn session_id_holds_whatever_the_gap() {
    let mut all = sessions();
    let named = |time| EnrichedHit { session_id: Some(7), ..hit(time) };
    assert!(opens(&mut all, &named(START)));
    assert!(opens(&mut all, &hit(START)), "a hit without one has a session by time");
    assert!(!opens(&mut all, &named(START + 34 * MINUTE)));
    all.on_time(START + 70 * MINUTE);
    assert_eq!(closed(&mut all), [(1, 1, 0), (2, 2, 34 * MINUTE)]);
    assert_eq!((all.open_count(), all.remembered_count()), (0, 1));
    let placement = all.place(&named(START + 23 * HOUR), || acquired("another"));
    assert_eq!((placement.opens_session, &*placement.acquisition.source), (false, "any"));
    all.on_time(START + 24 * HOUR - 1);
    assert_eq!(closed(&mut all), [], "a hit after its closing is in no session row");
    assert!(!opens(&mut all, &named(START + 24 * HOUR - 1)));
    assert!(opens(&mut all, &named(START + 24 * HOUR)), "forgotten");
}

#[test]
fn session_id_in_constant_use_is_forgotten_after_24_hours_too() {
    let mut all = sessions();
    let named = |time| EnrichedHit { session_id: Some(7), ..hit(time) };
    for quarter in 0..96 {
        assert_eq!(opens(&mut all, &named(START + quarter * 15 * MINUTE)), quarter == 0);
    }
    assert!(opens(&mut all, &named(START + 24 * HOUR)));
    assert_eq!(closed(&mut all), [(96, 96, 95 * 15 * MINUTE)]);
}

#[test]
fn exit_page_is_the_last_page_viewed_by_event_time() {
    let at = |minute: u64, is_page_view| EnrichedHit {
        is_page_view,
        received_at_ms: START + HOUR,
        ..hit(START + minute * MINUTE)
    };
    let page = |minute: u64| format!("/{}", START / MINUTE + minute);
    for (hits, expected) in [
        (vec![at(0, true), at(9, true), at(5, true)], page(9)),
        (vec![at(0, true), at(9, false)], page(0)),
        (vec![at(5, false), at(9, false), at(7, false)], page(9)),
        (vec![at(9, false), at(0, true)], page(0)),
    ] {
        let mut all = sessions();
        hits.iter().for_each(|hit| {
            opens(&mut all, hit);
        });
        all.on_time(u64::MAX);
        assert_eq!(&*all.take_closed()[0].exit_page, expected);
    }
    let mut tie = at(9, true);
    tie.dimensions.page_path = "/later".into();
    let mut all = sessions();
    opens(&mut all, &at(9, true));
    opens(&mut all, &tie);
    all.on_time(u64::MAX);
    assert_eq!(&*all.take_closed()[0].exit_page, "/later");
}

#[test]
fn engaged_is_two_views_or_more_than_ten_seconds() {
    let event = |time, engagement_ms| EnrichedHit { is_page_view: false, engagement_ms, ..hit(time) };
    for (hits, engaged) in [
        (vec![hit(START)], false),
        (vec![hit(START), hit(START)], true),
        (vec![hit(START), event(START + 10_000, 0)], false),
        (vec![hit(START), event(START + 10_001, 0)], true),
        (vec![hit(START), event(START, 10_000)], false),
        (vec![event(START, 5_000), event(START, 5_001)], true),
    ] {
        let mut all = sessions();
        hits.iter().for_each(|hit| {
            opens(&mut all, hit);
        });
        all.on_time(u64::MAX);
        assert_eq!(all.take_closed()[0].engaged, engaged, "{hits:?}");
    }
}

#[test]
fn first_hit_in_wal_order_gives_the_key_for_ever() {
    let mut all = sessions();
    opens(&mut all, &hit(START));
    opens(&mut all, &EnrichedHit { received_at_ms: START, ..hit(START - MINUTE) });
    all.on_time(u64::MAX);
    assert_eq!(all.take_closed()[0].dimensions, hit(START).dimensions);
}

#[test]
fn at_the_limit_the_session_due_first_makes_room() {
    let mut all = Sessions::new(2);
    for (visitor_id, timeout_ms) in [(1, 30 * MINUTE), (2, MINUTE), (3, HOUR)] {
        let terms = SessionTerms { timeout_ms, ..TERMS };
        opens(&mut all, &EnrichedHit { visitor_id, terms, ..hit(START) });
    }
    assert_eq!((all.open_count(), closed(&mut all).len()), (2, 1));
    assert!(!opens(&mut all, &hit(START)), "the first is still open");
    assert!(opens(&mut all, &EnrichedHit { visitor_id: 2, ..hit(START) }));
}

#[test]
fn sessions_restored_from_changes_are_the_same() {
    let (mut all, mut restored) = (Sessions::new(4), Sessions::new(4));
    for round in 0..200_u64 {
        let named = EnrichedHit {
            visitor_id: round % 5,
            previous_visitor_id: (round % 7 == 0).then_some(round % 3),
            session_id: (round % 4 == 0).then_some(round % 2),
            ..hit(START + round * 13 * MINUTE)
        };
        opens(&mut all, &named);
        all.on_time(named.received_at_ms);
        if round % 3 == 0 {
            restored.apply(all.take_change());
            assert_eq!(restored.whole(), all.whole(), "round {round}");
        }
    }
    let mut whole = Sessions::new(4);
    whole.apply(all.whole());
    assert_eq!(whole.whole(), all.whole());
}

/// A hit of a day that begins at this time.
fn of_day(from_ms: u64, hit: EnrichedHit) -> EnrichedHit {
    EnrichedHit { day: Some(Day { from_ms, to_ms: from_ms + 24 * HOUR }), ..hit }
}

#[test]
fn midnight_ends_a_session_where_the_rules_say_so() {
    let midnight = START + 10 * MINUTE;
    let mut all = sessions();
    opens(&mut all, &of_day(midnight - 24 * HOUR, hit(START)));
    assert!(!opens(&mut all, &hit(midnight - 1)), "the rules of the hit decide");
    assert!(opens(&mut all, &of_day(midnight, hit(midnight))));
    assert_eq!(closed(&mut all), [(2, 2, 10 * MINUTE - 1)]);
    let late = EnrichedHit { received_at_ms: midnight, ..hit(midnight - 1) };
    assert!(opens(&mut all, &of_day(midnight - 24 * HOUR, late.clone())), "its day is over");
    assert_eq!(closed(&mut all), [(1, 1, 0)], "a session of its own");
    assert!(!opens(&mut all, &of_day(midnight, hit(midnight + MINUTE))), "the open one goes on");
    assert!(!opens(&mut all, &late), "by rules without midnight it joins");
}

#[test]
fn late_hit_joins_within_its_day() {
    let mut all = sessions();
    opens(&mut all, &of_day(START, hit(START + 10 * MINUTE)));
    let late = EnrichedHit { received_at_ms: START + 10 * MINUTE, ..hit(START) };
    assert!(!opens(&mut all, &of_day(START, late)));
}

#[test]
fn another_campaign_ends_a_session() {
    let campaign = |source: &str| Some(Arc::new(acquired(source)));
    let by = |minute: u64, source: &str| EnrichedHit {
        campaign: campaign(source),
        ..hit(START + minute * MINUTE)
    };
    let mut all = sessions();
    let mut place = |hit: &EnrichedHit, source: &str| all.place(hit, || acquired(source)).opens_session;
    assert!(place(&by(0, "a"), "a"));
    assert!(!place(&by(1, "a"), "a"), "the same campaign again");
    assert!(!place(&hit(START + 2 * MINUTE), "(direct)"), "none of its own");
    let returning = Acquisition { visitor_type: VisitorType::Returning, ..acquired("a") };
    let same = EnrichedHit { campaign: Some(Arc::new(returning)), ..hit(START + 2 * MINUTE) };
    assert!(!place(&same, "a"), "whoever the visitor is");
    assert!(place(&by(3, "b"), "b"));
    assert!(place(&by(1, "a"), "a"), "late, but another one than the open session's");
    assert_eq!(closed(&mut all), [(4, 4, 2 * MINUTE), (1, 1, 0)]);
}

#[test]
fn session_id_goes_before_midnight_and_campaign() {
    let mut all = sessions();
    let named = |time| EnrichedHit { session_id: Some(7), ..hit(time) };
    opens(&mut all, &named(START));
    let next = of_day(START + MINUTE, named(START + MINUTE));
    assert!(!opens(&mut all, &EnrichedHit { campaign: Some(Arc::new(acquired("b"))), ..next }));
}

#[test]
fn engaged_is_by_the_terms_of_the_latest_hit() {
    let by = |time, engaged_after_ms, engaged_page_views| EnrichedHit {
        terms: SessionTerms { engaged_after_ms, engaged_page_views, ..TERMS },
        ..hit(time)
    };
    for (hits, engaged) in [
        (vec![by(START, 0, 3), by(START, 0, 3)], false),
        (vec![by(START, 0, 3), by(START, 0, 3), by(START, 0, 3)], true),
        (vec![by(START, 10_000, 9), by(START + 5_000, 4_999, 9)], true),
        (vec![by(START, 4_999, 9), by(START + 5_000, 5_000, 9)], false),
    ] {
        let mut all = sessions();
        hits.iter().for_each(|hit| {
            opens(&mut all, hit);
        });
        all.on_time(u64::MAX);
        assert_eq!(all.take_closed()[0].engaged, engaged, "{hits:?}");
    }
}

#[test]
fn key_event_engages_unless_it_is_passive() {
    for (is_passive, engaged) in [(false, true), (true, false)] {
        let mut all = sessions();
        opens(&mut all, &hit(START));
        let key = EnrichedHit { is_key_event: true, is_page_view: false, is_passive, ..hit(START) };
        assert!(!opens(&mut all, &key));
        let mut restored = sessions();
        restored.apply(all.whole());
        restored.on_time(u64::MAX);
        let session = &restored.take_closed()[0];
        assert_eq!((session.engaged, session.events), (engaged, 2));
    }
    let mut all = sessions();
    opens(&mut all, &EnrichedHit { is_key_event: true, is_page_view: false, ..hit(START) });
    all.on_time(u64::MAX);
    assert!(all.take_closed()[0].engaged);
}

#[test]
fn passive_event_joins_and_changes_nothing_but_the_count() {
    let passive =
        |time| EnrichedHit { is_passive: true, is_page_view: false, engagement_ms: HOUR, ..hit(time) };
    let mut all = sessions();
    opens(&mut all, &hit(START));
    let terms = SessionTerms { timeout_ms: 9 * HOUR, ..TERMS };
    assert!(!opens(&mut all, &EnrichedHit { terms, ..passive(START + 29 * MINUTE) }));
    assert!(!opens(&mut all, &passive(START + 30 * MINUTE + 1)), "in no session");
    all.on_time(START + 35 * MINUTE - 1);
    assert_eq!(all.open_count(), 1);
    all.on_time(START + 35 * MINUTE);
    let session = &all.take_closed()[0];
    assert_eq!((session.events, session.duration_ms, session.engaged), (2, 0, false));
    assert_eq!(&*session.exit_page, &*hit(START).dimensions.page_path);
}

#[test]
fn passive_event_opens_no_session() {
    let mut all = sessions();
    for session_id in [None, Some(7)] {
        let passive = EnrichedHit { is_passive: true, session_id, ..hit(START) };
        let placement = all.place(&passive, || acquired("own"));
        assert_eq!((placement.opens_session, &*placement.acquisition.source), (false, "own"));
        assert_eq!((all.open_count(), closed(&mut all)), (0, vec![]));
        assert!(opens(&mut all, &EnrichedHit { is_passive: false, ..passive.clone() }));
        let placement = all.place(&passive, || acquired("own"));
        assert_eq!((placement.opens_session, &*placement.acquisition.source), (false, "any"));
        all.on_time(START + HOUR);
        assert_eq!(closed(&mut all), [(1, 2, 0)]);
    }
    let remembered = EnrichedHit { is_passive: true, session_id: Some(7), ..hit(START + 2 * HOUR) };
    assert_eq!(&*all.place(&remembered, || acquired("own")).acquisition.source, "any");
    assert_eq!(all.open_count(), 0);
}

fn of(visitor_id: u64, session_id: Option<u64>) -> EnrichedHit {
    EnrichedHit { visitor_id, session_id, ..hit(START) }
}

#[test]
fn forgotten_visitors_sessions_are_over_and_named_by_nothing() {
    let mut all = sessions();
    opens(&mut all, &of(1, None));
    opens(&mut all, &of(1, Some(7)));
    opens(&mut all, &of(2, Some(7)));
    // Known as 3, too, from the day before.
    opens(&mut all, &of(3, None));
    assert!(!opens(&mut all, &EnrichedHit { previous_visitor_id: Some(3), ..of(4, None) }));
    let mut elsewhere = of(1, None);
    elsewhere.dimensions.property = "p_b".into();
    opens(&mut all, &elsewhere);
    all.forget_visitors("p_a", &[1, 4].into());
    assert_eq!(closed(&mut all), [(1, 1, 0), (1, 1, 0), (2, 2, 0)], "their hits count");
    assert_eq!((all.open_count(), all.remembered_count()), (2, 0));
    assert!(opens(&mut all, &of(1, Some(7))), "the session id names nothing any more");
    assert!(opens(&mut all, &of(3, None)), "and neither does the other id of the same session");
    assert!(!opens(&mut all, &of(2, Some(7))), "of others it does");
    assert!(!opens(&mut all, &elsewhere), "as at other properties");
}

#[test]
fn remembered_sessions_of_forgotten_visitors_are_not_named_any_more() {
    let mut all = sessions();
    opens(&mut all, &of(1, Some(7)));
    opens(&mut all, &of(2, Some(7)));
    all.on_time(START + HOUR);
    assert_eq!((all.open_count(), all.remembered_count()), (0, 2));
    all.take_closed();
    all.forget_visitors("p_a", &[1].into());
    assert_eq!((closed(&mut all), all.remembered_count()), (vec![], 1), "it was booked before");
    assert!(opens(&mut all, &of(1, Some(7))));
    assert!(!opens(&mut all, &of(2, Some(7))));
}

#[test]
fn erased_propertys_sessions_are_booked_nowhere() {
    let mut all = sessions();
    opens(&mut all, &of(1, Some(7)));
    all.on_time(START + HOUR);
    all.take_closed();
    opens(&mut all, &of(2, None));
    let mut elsewhere = of(3, None);
    elsewhere.dimensions.property = "p_b".into();
    opens(&mut all, &elsewhere);
    let mut visitors = all.forget_property("p_a");
    visitors.sort_unstable();
    assert_eq!(visitors, [1, 2]);
    assert_eq!((closed(&mut all), all.open_count(), all.remembered_count()), (vec![], 1, 0));
    assert_eq!(all.forget_property("p_none"), [0; 0]);
}
