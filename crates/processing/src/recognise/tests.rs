//! Who is known: by which ids, in which class, how long, and through changes.

use std::sync::Arc;

use super::*;
use crate::handover::{Client, Dimensions, Place, SessionTerms, TrafficReason};

use VisitorType::{KnownToEdge, New, NewToEdge, NotSet, Returning};

fn hit(visitor_id: u64) -> EnrichedHit {
    let none = || Arc::<str>::from("");
    let client = Client {
        browser: none(),
        browser_version: none(),
        operating_system: none(),
        operating_system_version: none(),
        device: none(),
        device_brand: none(),
    };
    EnrichedHit {
        dimensions: Dimensions {
            property: "p_a".into(),
            local_date: 0,
            minute: 0,
            utc_offset_s: 0,
            page_path: "/".into(),
            hostname: none(),
            place: Arc::new(Place { country: none(), region: none(), city: none() }),
            client: Arc::new(client),
            traffic: TrafficReason::None,
        },
        event: "page_view".into(),
        is_page_view: true,
        event_time_ms: 0,
        received_at_ms: 0,
        visitor_id,
        previous_visitor_id: None,
        session_id: None,
        has_client_id: false,
        first_visit: false,
        visitor_type: NotSet,
        first_source: none(),
        is_key_event: false,
        revenue: None,
        values: Vec::new(),
        custom: none(),
        page_title: "".into(),
        items: Vec::new(),
        custom_micros: [0; 5],
        engagement_ms: 0,
        is_passive: false,
        day: None,
        campaign: None,
        terms: SessionTerms { timeout_ms: 0, grace_ms: 0, engaged_after_ms: 0, engaged_page_views: 0 },
    }
}

fn after_midnight(visitor_id: u64, previous: u64) -> EnrichedHit {
    EnrichedHit { previous_visitor_id: Some(previous), ..hit(visitor_id) }
}

fn memory(max: u64) -> KnownVisitors {
    KnownVisitors::new(Epoch([1; 16]), max)
}

/// A memory of these visitors, each of whom opened a session.
fn of(max: u64, visitors: &[u64]) -> KnownVisitors {
    let mut known = memory(max);
    visitors.iter().for_each(|visitor| known.remember(&hit(*visitor), true));
    known
}

#[test]
fn who_opened_a_session_is_known_afterwards() {
    let mut known = memory(10);
    assert_eq!(known.visitor_type(&hit(1)), NewToEdge);
    assert_eq!(known.visitor_type(&hit(1)), NewToEdge, "asking remembers nobody");
    known.remember(&hit(1), false);
    assert_eq!(known.visitor_type(&hit(1)), NewToEdge, "the hit opened no session");
    known.remember(&hit(1), true);
    assert_eq!(known.visitor_type(&hit(1)), KnownToEdge);
    assert_eq!(known.visitor_type(&hit(2)), NewToEdge);
}

#[test]
fn the_clients_word_goes_first() {
    let mut known = of(10, &[1]);
    for visitor_type in [New, Returning] {
        for visitor in [1, 2] {
            let said = EnrichedHit { visitor_type, ..hit(visitor) };
            assert_eq!(known.visitor_type(&said), visitor_type);
            known.remember(&said, true);
        }
    }
    assert_eq!(known.visitor_type(&hit(2)), KnownToEdge, "remembered whatever the client said");
}

#[test]
fn properties_and_classes_have_visitors_of_their_own() {
    let known = of(10, &[1]);
    let mut other = hit(1);
    other.dimensions.property = "p_b".into();
    assert_eq!(known.visitor_type(&other), NewToEdge);
    let mut prefetch = hit(1);
    prefetch.dimensions.traffic = TrafficReason::Prefetch;
    assert_eq!(known.visitor_type(&prefetch), NewToEdge);
    let mut crawler = memory(10);
    crawler.remember(&prefetch, true);
    prefetch.dimensions.traffic = TrafficReason::CrawlerUserAgent;
    assert_eq!(crawler.visitor_type(&prefetch), KnownToEdge, "another reason of the same class");
}

#[test]
fn yesterdays_visitor_is_known_and_so_is_the_new_id_of_a_session_that_goes_on() {
    let mut known = of(10, &[1]);
    assert_eq!(known.visitor_type(&after_midnight(11, 1)), KnownToEdge);
    assert_eq!(known.visitor_type(&after_midnight(12, 2)), NewToEdge);
    known.remember(&after_midnight(11, 1), false);
    assert_eq!(known.visitor_type(&hit(11)), KnownToEdge);
}

#[test]
fn passive_events_tell_and_leave_nothing() {
    let mut known = of(10, &[1]);
    let passive = |of: EnrichedHit| EnrichedHit { is_passive: true, ..of };
    assert_eq!(known.visitor_type(&passive(hit(1))), NotSet);
    assert_eq!(known.visitor_type(&EnrichedHit { visitor_type: New, ..passive(hit(1)) }), New);
    known.remember(&passive(after_midnight(11, 1)), false);
    assert_eq!(known.visitor_type(&hit(11)), NewToEdge);
}

#[test]
fn at_the_limit_who_was_remembered_first_is_forgotten_first() {
    let mut known = of(2, &[1, 2, 1, 3]);
    let types = |known: &KnownVisitors| [1, 2, 3].map(|visitor| known.visitor_type(&hit(visitor)));
    assert_eq!((types(&known), known.len()), ([NewToEdge, KnownToEdge, KnownToEdge], 2));
    known.max = 1;
    known.shrink();
    assert_eq!((types(&known), known.len()), ([NewToEdge, NewToEdge, KnownToEdge], 1));
}

#[test]
fn without_a_memory_only_clients_tell() {
    let known = of(0, &[1]);
    assert_eq!((known.visitor_type(&hit(1)), known.len()), (NotSet, 0));
}

#[test]
fn memory_restored_from_changes_is_the_same() {
    for limit in [1, 2, 3, 100] {
        let (mut known, mut restored) = (memory(limit), memory(limit));
        for round in 0..6_u64 {
            // Some come again before and after they are forgotten.
            for visitor in 0..round {
                known.remember(&hit(visitor * round % 7), true);
            }
            assert!(restored.apply(&known.take_change(), 0));
            assert_eq!(restored.whole(), known.whole(), "limit {limit}, round {round}");
            assert_eq!(restored.known, known.known);
        }
        let mut whole = memory(limit);
        assert!(whole.apply(&known.whole(), 0));
        assert_eq!(whole.whole(), known.whole());
        assert_eq!(whole.take_change().added, Vec::<u64>::new());
    }
}

#[test]
fn change_that_does_not_follow_is_refused() {
    let mut known = of(10, &[1]);
    let first = known.take_change();
    known.remember(&hit(2), true);
    let second = known.take_change();
    let mut restored = memory(10);
    assert!(restored.apply(&first, 0));
    assert!(!restored.apply(&first, 0));
    assert!(restored.apply(&second, 0));
    let twice = VisitorChange { added: vec![5, 5], ..VisitorChange::default() };
    assert!(!memory(10).apply(&twice, 0), "nobody is remembered twice");
}

#[test]
fn who_is_forgotten_is_new_again_in_every_class() {
    let mut known = of(10, &[1, 2, 3]);
    let mut crawler = hit(2);
    crawler.dimensions.traffic = TrafficReason::CrawlerUserAgent;
    known.remember(&crawler, true);
    known.forget("p_b", [1, 2, 3]);
    assert_eq!(known.len(), 4, "visitors of another property");
    known.forget("p_a", [2, 9]);
    let types = [1, 2, 3].map(|visitor| known.visitor_type(&hit(visitor)));
    assert_eq!(types, [KnownToEdge, NewToEdge, KnownToEdge]);
    assert_eq!((known.visitor_type(&crawler), known.len()), (NewToEdge, 2));
    let place = known.hash_of(&hit(2), 2);
    assert!(!known.whole().added.contains(&place), "nothing of it is stored");
    known.remember(&hit(2), true);
    assert_eq!((known.visitor_type(&hit(2)), known.len()), (KnownToEdge, 3));
}

#[test]
fn memory_with_empty_places_is_restored_the_same() {
    for limit in [1, 2, 3, 100] {
        let (mut known, mut restored) = (memory(limit), memory(limit));
        for round in 0..12_u64 {
            for visitor in 0..round {
                let day = EnrichedHit { received_at_ms: round / 3 * DAY_MS, ..hit(visitor * round % 7) };
                known.remember(&day, true);
            }
            known.forget("p_a", [round % 5, round % 7]);
            assert!(restored.apply(&known.take_change(), 0));
            assert_eq!(restored.whole(), known.whole(), "limit {limit}, round {round}");
            assert_eq!((restored.known.clone(), &restored.days), (known.known.clone(), &known.days));
        }
        let mut whole = memory(limit);
        assert!(whole.apply(&known.whole(), 0));
        assert_eq!((whole.whole(), whole.known), (known.whole(), known.known));
    }
}

#[test]
fn everybody_is_forgotten_after_400_days() {
    let mut known = memory(10);
    let on = |day: u64, visitor| EnrichedHit { received_at_ms: day * DAY_MS + 5, ..hit(visitor) };
    known.remember(&on(0, 1), true);
    known.remember(&on(1, 2), true);
    // Coming again makes nobody younger.
    known.remember(&on(300, 1), true);
    known.begin_block(401 * DAY_MS - 1);
    assert_eq!(known.len(), 2);
    known.begin_block(401 * DAY_MS);
    assert_eq!([1, 2].map(|visitor| known.visitor_type(&hit(visitor))), [NewToEdge, KnownToEdge]);
    known.begin_block(402 * DAY_MS);
    assert_eq!((known.len(), known.whole().days), (0, vec![]));
}

/// What builds before this one wrote has no days: it counts from when it was written.
#[test]
fn visitors_without_days_are_of_the_day_of_their_state() {
    let mut known = memory(10);
    let change = VisitorChange { added: vec![5, 6], ..VisitorChange::default() };
    assert!(known.apply(&change, 7 * DAY_MS));
    assert_eq!(known.whole().days, [Day { day: 7, visitors: 2 }]);
    let day = |visitors| VisitorChange { days: vec![Day { day: 7, visitors }], ..change.clone() };
    for wrong in [1, 3] {
        assert!(!memory(10).apply(&day(wrong), 0), "{wrong} days for two visitors");
    }
    let beyond = VisitorChange { emptied: vec![2], added_from: 2, ..VisitorChange::default() };
    assert!(!known.apply(&beyond, 0), "nobody has this number yet");
}
