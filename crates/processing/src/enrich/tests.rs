//! Local time by zone, with offsets from tzdata; reasons to drop a hit; shares of a hit.

use super::*;
use crate::handover::TrafficReason;

struct Zoned(&'static str);

/// Hits of one host alone are counted.
struct OneHost;

impl RulesSource for OneHost {
    fn rules(&self, _: &str, _: u32) -> Option<Arc<Rules>> {
        let mut rules = Rules::first("UTC");
        rules.urls.hostnames = vec!["a.example".to_owned()];
        Some(Arc::new(rules))
    }
}

impl RulesSource for Zoned {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        let known = property_id == "p_a" && version == 1;
        known.then(|| Arc::new(Rules::first(self.0)))
    }
}

fn enricher(zone: &'static str) -> Enricher {
    enricher_by(Zoned(zone))
}

fn enricher_by(rules: impl RulesSource + 'static) -> Enricher {
    let yaml = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";
    let detection = Detection::new(yaml, r#"[{"pattern": "bot"}]"#).unwrap();
    Enricher::new(Arc::new(detection), Arc::new(rules))
}

fn hit(event_time_s: u64) -> HitView<'static> {
    HitView {
        property_id: "p_a",
        rules_version: 1,
        event_time_ms: event_time_s * 1000,
        event: PAGE_VIEW,
        ..HitView::default()
    }
}

/// (zone, instant in unix seconds, offset in seconds, local date in days since 1970-01-01)
#[test]
fn event_time_decides_offset_and_date() {
    for (zone, at_s, utc_offset_s, local_date) in [
        ("UTC", 1_780_271_999, 0, 20_604),
        ("UTC", 1_780_272_000, 0, 20_605),
        // 2026-03-29: 02:00 becomes 03:00 at 01:00Z.
        ("Europe/Berlin", 1_774_745_999, 3_600, 20_541),
        ("Europe/Berlin", 1_774_746_000, 7_200, 20_541),
        // 2026-10-25: 03:00 becomes 02:00 at 01:00Z.
        ("Europe/Berlin", 1_792_889_999, 7_200, 20_751),
        ("Europe/Berlin", 1_792_890_000, 3_600, 20_751),
        // Local midnight, 18:30Z and 18:15Z.
        ("Asia/Kolkata", 1_780_252_199, 19_800, 20_604),
        ("Asia/Kolkata", 1_780_252_200, 19_800, 20_605),
        ("Asia/Kathmandu", 1_780_251_299, 20_700, 20_604),
        ("Asia/Kathmandu", 1_780_251_300, 20_700, 20_605),
        // 2026-04-05: 02:00 becomes 01:30 at 15:00Z of the day before.
        ("Australia/Lord_Howe", 1_775_314_799, 39_600, 20_548),
        ("Australia/Lord_Howe", 1_775_314_800, 37_800, 20_548),
        ("America/New_York", 1_793_512_799, -14_400, 20_758),
        ("America/New_York", 1_793_512_800, -18_000, 20_758),
        ("America/New_York", 18_000, -18_000, 0),
    ] {
        let (found, _) = enricher(zone).enrich(&hit(at_s), 0).unwrap();
        let found = (found.dimensions.utc_offset_s, u64::from(found.dimensions.local_date));
        assert_eq!(found, (utc_offset_s, local_date), "{zone} at {at_s}");
    }
}

#[test]
fn minute_is_that_of_the_instant() {
    let (found, _) = enricher("Asia/Kathmandu").enrich(&hit(1_780_272_059), 0).unwrap();
    assert_eq!(found.dimensions.minute, 29_671_200);
    let (found, _) = enricher("Asia/Kathmandu").enrich(&hit(1_780_272_060), 0).unwrap();
    assert_eq!(found.dimensions.minute, 29_671_201);
}

#[test]
fn hits_that_fit_no_row_are_dropped_with_their_reason() {
    let dropped = |zone, hit: &HitView<'_>| enricher(zone).enrich(hit, 0).err();
    let of = |property: &'static str, version| HitView {
        property_id: property,
        rules_version: version,
        ..hit(1_780_272_000)
    };
    assert_eq!(dropped("UTC", &of("p_b", 1)), Some(DropReason::UnknownProperty));
    assert_eq!(dropped("UTC", &of("p_a", 2)), Some(DropReason::UnknownProperty));
    assert_eq!(dropped("Mars/Olympus", &of("p_a", 1)), Some(DropReason::UnknownTimeZone));
    // Before 05:00Z the local date is still in 1969.
    assert_eq!(dropped("America/New_York", &hit(17_999)), Some(DropReason::ImpossibleTime));
    // 65,535 days after 1970-01-01 is the last date.
    assert_eq!(dropped("UTC", &hit(65_536 * 86_400 - 1)), None);
    assert_eq!(dropped("UTC", &hit(65_536 * 86_400)), Some(DropReason::ImpossibleTime));
    let far = HitView { event_time_ms: u64::MAX, ..hit(0) };
    assert_eq!(dropped("UTC", &far), Some(DropReason::ImpossibleTime));
    let from = |url| enricher_by(OneHost).enrich(&HitView { url, ..hit(0) }, 0).err();
    assert_eq!(from("https://b.example/"), Some(DropReason::ForeignHostname));
    assert_eq!((from("https://www.a.example/"), from("")), (None, None));
}

#[test]
fn fields_are_taken_over() {
    let raw = HitView {
        visitor_id: 5,
        previous_visitor_id: Some(4),
        client_id: "c",
        session_id: "s",
        first_visit: Some(true),
        url: "https://a.example/x?y",
        country: "DE",
        user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140",
        engagement_ms: 7,
        ..hit(1_780_272_000)
    };
    let (found, _) = enricher("UTC").enrich(&raw, 9).unwrap();
    assert_eq!((&*found.dimensions.page_path, &*found.dimensions.place.country), ("/x", "DE"));
    assert_eq!((found.visitor_id, found.previous_visitor_id), (5, Some(4)));
    assert_eq!((found.received_at_ms, found.engagement_ms), (9, 7));
    assert_eq!((found.terms.timeout_ms, found.terms.grace_ms), (1_800_000, 300_000));
    assert!(found.is_page_view && found.first_visit && found.has_client_id);
    assert!(found.session_id.is_some());
    assert_eq!(enricher("UTC").enrich(&hit(0), 0).unwrap().0.session_id, None);
}

#[test]
fn the_reason_of_a_class_comes_from_hit_and_user_agent() {
    let people = "Mozilla/5.0 (X11; Linux) Firefox/140";
    let reason = |hit: HitView<'static>| enricher("UTC").enrich(&hit, 0).unwrap().0.dimensions.traffic;
    for (user_agent, network, expected) in [
        (people, "", TrafficReason::None),
        (people, "hosting", TrafficReason::DataCentre),
        (people, "internal", TrafficReason::InternalNetwork),
        ("a bot", "hosting", TrafficReason::CrawlerUserAgent),
        ("", "", TrafficReason::NoUserAgent),
    ] {
        let found = reason(HitView { user_agent, network, ..hit(1_780_272_000) });
        assert_eq!(found, expected, "{user_agent:?} {network:?}");
    }
    let told = HitView { sent_by_server: true, ..hit(1_780_272_000) };
    assert_eq!(reason(told), TrafficReason::None);
}
