//! Rows add up, and hold each visitor once.

use super::*;
use crate::handover::{Client, Place, SessionTerms, TrafficReason, VisitorType};

fn dimensions(page: &str) -> Dimensions {
    let client = Client {
        browser_version: "".into(),
        operating_system_version: "".into(),
        device_brand: "".into(),
        browser: "Firefox".into(),
        operating_system: "Linux".into(),
        device: "desktop".into(),
    };
    Dimensions {
        property: "p_a".into(),
        local_date: 1,
        minute: 1440,
        utc_offset_s: 0,
        page_path: page.into(),
        hostname: "".into(),
        place: Arc::new(Place { country: "DE".into(), region: "".into(), city: "".into() }),
        client: Arc::new(client),
        traffic: TrafficReason::None,
    }
}

fn acquisition() -> Arc<Acquisition> {
    Arc::new(Acquisition {
        source: "s".into(),
        medium: "m".into(),
        campaign: "c".into(),
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
    })
}

fn hit(visitor_id: u64, has_client_id: bool, first_visit: bool) -> EnrichedHit {
    EnrichedHit {
        dimensions: dimensions("/"),
        event: "page_view".into(),
        is_page_view: true,
        event_time_ms: 0,
        received_at_ms: 0,
        visitor_id,
        previous_visitor_id: Some(99),
        session_id: None,
        has_client_id,
        first_visit,
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
        is_key_event: false,
        revenue: None,
        values: Vec::new(),
        page_title: "".into(),
        items: Vec::new(),
        custom: "".into(),
        custom_micros: [0; 5],
        engagement_ms: 10,
        is_passive: false,
        day: None,
        campaign: None,
        terms: SessionTerms { timeout_ms: 0, grace_ms: 0, engaged_after_ms: 10_000, engaged_page_views: 2 },
    }
}

/// Whoever makes up texts does not make rows that are looked for among all others.
#[test]
fn keys_that_differ_in_one_text_of_a_client_have_different_hashes() {
    use std::hash::BuildHasher;
    let hashes = RandomState::default();
    let key = |change: &dyn Fn(&mut HitKey)| {
        let acquisition = acquisition();
        let mut key = HitKey {
            dimensions: dimensions("/"),
            acquisition,
            event: "e".into(),
            page_title: "".into(),
            currency: None,
            custom: "".into(),
        };
        change(&mut key);
        hashes.hash_one(key)
    };
    let from = |change: &dyn Fn(&mut Acquisition)| {
        let mut other = Acquisition::clone(&acquisition());
        change(&mut other);
        let other = Arc::new(other);
        key(&|key| key.acquisition = Arc::clone(&other))
    };
    let mut all = vec![
        key(&|_| ()),
        key(&|key| key.dimensions.page_path = "/x".into()),
        key(&|key| key.dimensions.hostname = "x".into()),
        key(&|key| key.event = "x".into()),
        key(&|key| key.page_title = "x".into()),
        key(&|key| key.currency = Some("EUR".into())),
        key(&|key| key.custom = "x".into()),
        from(&|other| other.source = "x".into()),
        from(&|other| other.medium = "x".into()),
        from(&|other| other.campaign = "x".into()),
        from(&|other| other.first_source = "x".into()),
        from(&|other| other.visitor_type = VisitorType::New),
    ];
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn keys_that_differ_in_one_text_of_an_item_have_different_hashes() {
    use std::hash::BuildHasher;
    let hashes = RandomState::default();
    let key = |change: &dyn Fn(&mut ItemKey)| {
        let line = line("Cap", ItemAction::Viewed, 1, 0);
        let ItemLine { item, currency, custom, .. } = line;
        let mut key =
            ItemKey { dimensions: dimensions("/"), acquisition: acquisition(), item, currency, custom };
        change(&mut key);
        hashes.hash_one(key)
    };
    let mut all = vec![
        key(&|_| ()),
        key(&|key| key.dimensions.page_path = "/x".into()),
        key(&|key| key.item.id = "x".into()),
        key(&|key| key.item.name = "x".into()),
        key(&|key| key.item.brand = "x".into()),
        key(&|key| key.item.category = "y".into()),
        key(&|key| key.item.variant = "z".into()),
        key(&|key| key.currency = "USD".into()),
        key(&|key| key.custom = "c".into()),
    ];
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn money_of_a_row_is_no_more_than_a_loader_takes() {
    let mut aggregator = Aggregator::default();
    for _ in 0..200 {
        let mut paid = hit(1, true, false);
        paid.revenue = Some(crate::handover::Revenue { currency: "EUR".into(), micros: 10_u64.pow(16) });
        paid.custom_micros = [0, 10_u64.pow(16), 1, 0, 0];
        aggregator.add_hit(paid, Placement { opens_session: false, acquisition: acquisition() });
    }
    let rows = aggregator.take();
    assert_eq!((rows.hits.len(), rows.hits[0].revenue_micros), (1, MAX_REVENUE_MICROS));
    assert_eq!(rows.hits[0].custom_micros, [0, MAX_REVENUE_MICROS, 200, 0, 0]);
}

fn line(name: &str, action: ItemAction, quantity: u64, revenue_micros: u64) -> ItemLine {
    let item = Item {
        id: "SKU-1".into(),
        name: name.into(),
        brand: "".into(),
        category: "".into(),
        variant: "".into(),
    };
    ItemLine { item, currency: "EUR".into(), custom: "".into(), action, quantity, revenue_micros }
}

#[test]
fn items_add_up_in_one_row_per_key() {
    use ItemAction::{AddedToCart, CheckedOut, Purchased, Viewed};
    let mut rows = Aggregator::default();
    let mut add = |items: Vec<ItemLine>| {
        let placement = Placement { opens_session: false, acquisition: acquisition() };
        rows.add_hit(EnrichedHit { items, ..hit(1, true, false) }, placement);
    };
    add(vec![line("Cap", Viewed, 1, 0), line("Cap", AddedToCart, 2, 0), line("Hat", Viewed, 1, 0)]);
    add(vec![
        line("Cap", CheckedOut, 2, 0),
        line("Cap", Purchased, 2, 49_500_000),
        line("Cap", Purchased, 0, 0),
    ]);
    assert_eq!(rows.rows(), 3);
    let taken = rows.take().items;
    let sums: Vec<_> = taken
        .iter()
        .map(|row| {
            let carts = (row.items_viewed, row.items_added_to_cart, row.items_checked_out);
            (&*row.item_name, row.lines, carts, row.items_purchased, row.item_revenue_micros)
        })
        .collect();
    assert_eq!(sums, [("Cap", 5, (1, 2, 2), 2, 49_500_000), ("Hat", 1, (1, 0, 0), 0, 0)]);
    assert_eq!((&*taken[0].item_id, &*taken[0].currency, &*taken[0].key.source), ("SKU-1", "EUR", "s"));
}

#[test]
fn items_of_a_row_are_no_more_than_a_loader_takes() {
    let mut aggregator = Aggregator::default();
    let huge = line("Cap", ItemAction::Purchased, MAX_ITEMS / 2 + 1, 10_u64.pow(16));
    let placement = Placement { opens_session: false, acquisition: acquisition() };
    aggregator.add_hit(EnrichedHit { items: vec![huge; 200], ..hit(1, true, false) }, placement);
    let rows = aggregator.take().items;
    assert_eq!(
        (rows[0].lines, rows[0].items_purchased, rows[0].item_revenue_micros),
        (200, MAX_ITEMS, MAX_REVENUE_MICROS)
    );
}

#[test]
fn hits_add_up_in_one_row_per_key() {
    let mut rows = Aggregator::default();
    // (visitor, client id, first visit, opens): new are 2 (cookieless, opens) and 4 (says so).
    for (visitor, has_client_id, first_visit, opens_session) in [
        (3, true, false, true),
        (2, false, false, true),
        (3, true, false, false),
        (4, true, true, false),
        (5, false, false, false),
    ] {
        let placement = Placement { opens_session, acquisition: acquisition() };
        rows.add_hit(hit(visitor, has_client_id, first_visit), placement);
    }
    let click = EnrichedHit { event: "click".into(), is_page_view: false, ..hit(3, true, false) };
    rows.add_hit(click, Placement { opens_session: false, acquisition: acquisition() });
    assert_eq!(rows.rows(), 2);
    let taken = rows.take();
    assert_eq!(rows.rows(), 0);
    let [click, view] = taken.hits.as_slice() else { panic!("{taken:?}") };
    assert_eq!((&*click.event_name, click.page_views, click.events), ("click", 0, 1));
    assert_eq!((view.page_views, view.events, view.sessions, view.engagement_ms), (5, 5, 2, 50));
    assert_eq!(view.visitors, [2, 3, 4, 5]);
    assert_eq!(view.new_visitors, [2, 4]);
    assert_eq!((&*view.key.source, &*view.key.device), ("s", "desktop"));
}

#[test]
fn sessions_add_up_in_one_row_per_key_and_exit_page() {
    let mut rows = Aggregator::default();
    for (exit_page, engaged) in [("/x", true), ("/y", false), ("/x", false)] {
        rows.add_session(ClosedSession {
            dimensions: dimensions("/in"),
            acquisition: acquisition(),
            exit_page: exit_page.into(),
            engaged,
            page_views: 1,
            events: 2,
            duration_ms: 3,
        });
    }
    let taken = rows.take().sessions;
    let sums: Vec<_> = taken
        .iter()
        .map(|row| {
            (&*row.exit_page, row.sessions, row.engaged_sessions, row.page_views, row.events, row.duration_ms)
        })
        .collect();
    assert_eq!(sums, [("/x", 2, 1, 2, 4, 6), ("/y", 1, 0, 1, 2, 3)]);
}
