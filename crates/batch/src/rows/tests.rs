//! Merging rows is commutative and associative: batches may arrive in any order, from any edge.

use proptest::prelude::*;

use super::*;

pub(crate) fn key(property: &str, minute: u32, page: &str) -> RowKey {
    RowKey {
        property: property.into(),
        local_date: 16_572,
        minute,
        utc_offset_s: 0,
        traffic_class: "human".into(),
        page_path: page.into(),
        source: "(direct)".into(),
        medium: "(none)".into(),
        campaign: "".into(),
        country: "DE".into(),
        device: "desktop".into(),
        browser: "Firefox".into(),
        operating_system: "Linux".into(),
        ..RowKey::default()
    }
}

prop_compose! {
    fn hit_row()(property in "p_[ab]", minute in 0u32..3, page in "/[xy]?", event in "page_view|buy", city in "|Bonn",
                 currency in "|EUR|JPY", custom in "|a|a\u{1f}b", title in "|T", views in 0u64..4,
                 visitors in proptest::collection::btree_set(0u64..5, 0..4)) -> HitRow {
        HitRow {
            key: RowKey { city: city.into(), ..key(&property, minute, &page) },
            event_name: event.into(),
            currency: currency.into(),
            page_title: title.into(),
            custom: custom.into(),
            page_views: views,
            events: views + 1,
            sessions: views / 2,
            engagement_ms: views * 10,
            new_visitors: visitors.iter().copied().take(1).collect(),
            visitors: visitors.into_iter().collect(),
            revenue_micros: views * 1_000_000,
            key_events: views,
            custom_micros: [1, 2, 3, 4, 5].map(|slot| slot * views),
        }
    }
}

prop_compose! {
    fn session_row()(property in "p_[ab]", minute in 0u32..2, exit in "/[xy]", sessions in 1u64..4) -> SessionRow {
        SessionRow {
            key: key(&property, minute, "/"),
            exit_page: exit.into(),
            sessions,
            engaged_sessions: sessions / 2,
            page_views: sessions * 2,
            events: sessions * 3,
            duration_ms: sessions * 1000,
        }
    }
}

prop_compose! {
    fn value_row()(minute in 0u32..2, name in "lcp_ms|inp_ms", value in 0u32..3, count in 1u64..4) -> ValueRow {
        ValueRow { key: key("p_a", minute, "/"), name: name.into(), value, count }
    }
}

prop_compose! {
    fn item_row()(minute in 0u32..2, texts in proptest::collection::vec("|a|b", 7), lines in 1u64..4, sold in 0u64..3) -> ItemRow {
        let mut texts = texts.into_iter().map(Arc::from);
        let mut text = || texts.next().unwrap();
        ItemRow {
            key: key("p_a", minute, "/"),
            item_id: text(),
            item_name: text(),
            item_brand: text(),
            item_category: text(),
            item_variant: text(),
            currency: text(),
            custom: text(),
            lines,
            items_viewed: sold + 1,
            items_added_to_cart: sold + 2,
            items_checked_out: sold + 3,
            items_purchased: sold,
            item_revenue_micros: sold * 1_000_000,
        }
    }
}

prop_compose! {
    fn refusal_row()(property in "p_[ab]", minute in 0u32..2, reason in "kind|too_old", hits in 1u64..4) -> RefusalRow {
        RefusalRow { property: property.into(), local_date: 0, minute, utc_offset_s: 0, reason: reason.into(), hits }
    }
}

fn normal(hits: &[HitRow], sessions: &[SessionRow], values: &[ValueRow], items: &[ItemRow]) -> RollupRows {
    let (hits, sessions) = (hits.to_vec(), sessions.to_vec());
    let mut rows = RollupRows {
        hits,
        sessions,
        values: values.to_vec(),
        items: items.to_vec(),
        ..RollupRows::default()
    };
    rows.normalize();
    rows
}

proptest! {
    #[test]
    fn order_and_grouping_do_not_matter(
        hits in proptest::collection::vec(hit_row(), 0..30),
        sessions in proptest::collection::vec(session_row(), 0..20),
        values in proptest::collection::vec(value_row(), 0..20),
        items in proptest::collection::vec(item_row(), 0..30),
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = normal(&hits, &sessions, &values, &items);
        let (cut_values, cut_items) = (cut.index(values.len() + 1), cut.index(items.len() + 1));
        let cut = cut.index(hits.len() + 1);
        let mut parts = normal(&hits[cut..], &sessions, &values[cut_values..], &items[cut_items..]);
        parts.append(normal(&hits[..cut], &[], &values[..cut_values], &items[..cut_items]));
        parts.normalize();
        prop_assert_eq!(&whole, &parts);
        let events: u64 = whole.hits.iter().map(|row| row.events).sum();
        prop_assert_eq!(events, hits.iter().map(|row| row.events).sum::<u64>());
        let money = |rows: &[HitRow]| rows.iter().map(|row| row.revenue_micros).sum::<u64>();
        prop_assert_eq!(money(&whole.hits), money(&hits));
        let custom = |rows: &[HitRow], slot: usize| rows.iter().map(|row| row.custom_micros[slot]).sum::<u64>();
        for slot in 0..5 {
            prop_assert_eq!(custom(&whole.hits, slot), custom(&hits, slot));
        }
        let count = |rows: &[ValueRow]| rows.iter().map(|row| row.count).sum::<u64>();
        prop_assert_eq!(count(&whole.values), count(&values));
        // The keys that differ are as many as the rows, and each sum is kept.
        let keys = |rows: &[ItemRow]| {
            rows.iter().map(|row| format!("{:?} {:?}", row.key, row.texts())).collect::<std::collections::BTreeSet<_>>()
        };
        prop_assert_eq!(keys(&items).len(), whole.items.len());
        let sums = |rows: &[ItemRow]| rows.iter().fold([0; 6], |sums, row| {
            let more = [row.lines, row.items_viewed, row.items_added_to_cart, row.items_checked_out,
                        row.items_purchased, row.item_revenue_micros];
            std::array::from_fn::<u64, 6, _>(|at| sums[at] + more[at])
        });
        prop_assert_eq!(sums(&whole.items), sums(&items));
    }

    #[test]
    fn refusals_of_one_key_are_added_up(rows in proptest::collection::vec(refusal_row(), 0..20)) {
        let mut normal = RollupRows { refusals: rows.clone(), ..RollupRows::default() };
        normal.normalize();
        let mut sums = std::collections::BTreeMap::new();
        for row in &rows {
            *sums.entry((hit::slot_of(&row.property), row.property.clone(), row.minute, row.reason.clone())).or_insert(0) += row.hits;
        }
        let found = normal.refusals.iter().map(|row| {
            ((hit::slot_of(&row.property), row.property.clone(), row.minute, row.reason.clone()), row.hits)
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), sums.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(normal.len(), normal.refusals.len());
    }
}
