//! Whatever the figures, what is taken out is what was put in.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::handover::{Acquisition, Client, Place, SessionTerms, TrafficReason, VisitorType};

fn client() -> Arc<Client> {
    let text = || Arc::from("x");
    Arc::new(Client {
        browser_version: "".into(),
        operating_system_version: "".into(),
        device_brand: "".into(),
        browser: text(),
        operating_system: text(),
        device: text(),
    })
}

/// A session with these figures.
fn session(figures: Figures) -> Session {
    let dimensions = Dimensions {
        property: "p_a".into(),
        local_date: 20_000,
        minute: 28_800_000,
        utc_offset_s: -12_600,
        page_path: "/first".into(),
        hostname: "".into(),
        place: Arc::new(Place { country: "DE".into(), region: "".into(), city: "".into() }),
        client: client(),
        traffic: TrafficReason::None,
    };
    let acquisition = Arc::new(Acquisition {
        source: "s".into(),
        medium: "m".into(),
        campaign: "c".into(),
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
    });
    figures.session(7, vec![1], Some(2), dimensions, acquisition, "/last".into())
}

fn number() -> impl Strategy<Value = u64> {
    // Around the limits of what is packed, and anything.
    prop_oneof![
        0..10_u64,
        (0..4_u64).prop_map(|n| (1 << 32) - 2 + n),
        (0..4_u64).prop_map(|n| (1 << 40) - 2 + n),
        1_700_000_000_000..1_700_100_000_000_u64,
        any::<u64>(),
    ]
}

fn figures() -> impl Strategy<Value = Figures> {
    let flags = (any::<bool>(), any::<bool>());
    (prop::array::uniform12(number()), flags).prop_map(|(numbers, (exit_is_page_view, has_key_event))| {
        let [
            timeout_ms,
            grace_ms,
            first_ms,
            last_ms,
            opened_at_ms,
            received_at_ms,
            exit,
            views,
            events,
            engagement_ms,
            engaged_after_ms,
            engaged_page_views,
        ] = numbers;
        Figures {
            terms: SessionTerms { timeout_ms, grace_ms, engaged_after_ms, engaged_page_views },
            first_ms,
            last_ms,
            opened_at_ms,
            received_at_ms,
            exit_is_page_view,
            exit_event_time_ms: exit,
            page_views: views,
            events,
            engagement_ms,
            has_key_event,
        }
    })
}

/// Figures as sessions have them: nothing before the first event or the opening.
fn usual() -> impl Strategy<Value = Figures> {
    (0..1_u64 << 40, 0..1_u64 << 32, 0..1_u64 << 32, figures()).prop_map(|(age_ms, long_ms, open_ms, any)| {
        let opened_at_ms = 1_780_000_000_000;
        let first_ms = opened_at_ms - age_ms;
        let small = |number: u64| number % (1 << 32);
        Figures {
            first_ms,
            opened_at_ms,
            last_ms: first_ms + long_ms,
            exit_event_time_ms: first_ms + long_ms / 2,
            received_at_ms: opened_at_ms + open_ms,
            page_views: small(any.page_views),
            events: small(any.events),
            engagement_ms: small(any.engagement_ms),
            ..any
        }
    })
}

#[test]
fn record_takes_104_bytes() {
    assert_eq!(size_of::<Record>(), 104);
}

proptest! {
    #[test]
    fn any_figures_come_out_as_they_went_in(first in figures(), second in figures()) {
        let mut interned = Interned::default();
        let (mut record, wide) = Record::new(&session(first), &mut interned).unwrap();
        prop_assert_eq!(wide.or_else(|| record.unpack(&interned)), Some(first));
        let wide = record.update(&second, &mut interned);
        prop_assert_eq!(wide.or_else(|| record.unpack(&interned)), Some(second));
        let whole = record.session(vec![1], &second, &interned);
        prop_assert_eq!(whole, Some(session(second)));
        record.release(&mut interned);
        prop_assert_eq!(interned.pages.find("/first"), None);
    }

    #[test]
    fn usual_figures_are_packed(figures in usual()) {
        let mut interned = Interned::default();
        let (record, wide) = Record::new(&session(figures), &mut interned).unwrap();
        prop_assert_eq!((wide, record.unpack(&interned)), (None, Some(figures)));
    }
}
