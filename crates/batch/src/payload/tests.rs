//! Rows round trip; bytes from outside are refused rather than guessed at.

use proptest::prelude::*;

use super::*;

fn row(property: &str, page: &str, visitors: Vec<u64>) -> HitRow {
    HitRow {
        key: RowKey {
            property: property.into(),
            local_date: 16_572,
            minute: 23_864_285,
            utc_offset_s: -16_200,
            traffic_class: "human".into(),
            page_path: page.into(),
            source: "google".into(),
            medium: "organic".into(),
            campaign: "".into(),
            country: "IN".into(),
            device: "mobile".into(),
            browser: "Chrome Mobile".into(),
            operating_system: "Android".into(),
            ..RowKey::default()
        },
        event_name: "page_view".into(),
        page_views: 3,
        events: 4,
        sessions: 1,
        engagement_ms: 12_000,
        new_visitors: visitors.iter().copied().take(1).collect(),
        visitors,
        ..HitRow::default()
    }
}

fn message(payload: &[u8]) -> RollupPayload {
    RollupPayload::decode(decompress(payload).unwrap().as_slice()).unwrap()
}

fn bytes(message: &RollupPayload) -> Vec<u8> {
    zstd::bulk::compress(&message.encode_to_vec(), 1).unwrap()
}

proptest! {
    #[test]
    fn rows_round_trip(
        pages in proptest::collection::vec("/[a-z]{0,3}", 0..20),
        visitors in proptest::collection::btree_set(any::<u64>(), 0..5),
        // Columns that may be left out are there or not.
        city in "|Bonn",
        paid in 0u64..2,
        custom_micros in proptest::array::uniform5(0u64..3),
    ) {
        let mut rows = RollupRows::default();
        for page in pages {
            let mut hit = row("p_a", &page, visitors.iter().copied().collect());
            hit.key.city = city.as_str().into();
            (hit.revenue_micros, hit.key_events) = (paid * 49_500_000, paid);
            hit.page_title = format!("{page}{city}").into();
            hit.custom_micros = custom_micros;
            hit.custom = format!("{city}{page}").into();
            hit.currency = if paid == 0 { "" } else { "EUR" }.into();
            rows.values.push(ValueRow { key: hit.key.clone(), name: "lcp_ms".into(), value: 1_008, count: paid + 1 });
            rows.items.push(ItemRow {
                key: hit.key.clone(), item_id: page.as_str().into(), item_name: city.as_str().into(), item_brand: "B".into(),
                item_category: format!("C{page}").into(), item_variant: "V".into(), currency: hit.currency.clone(),
                custom: hit.custom.clone(), lines: 1, items_viewed: 2, items_added_to_cart: 3 * paid, items_checked_out: 4,
                items_purchased: 5 * paid, item_revenue_micros: 6 * paid,
            });
            rows.sessions.push(SessionRow {
                key: hit.key.clone(), exit_page: page.into(), sessions: 2, engaged_sessions: 1, page_views: 5,
                events: 6, duration_ms: u64::MAX,
            });
            if paid > 0 {
                rows.refusals.push(RefusalRow {
                    property: hit.key.property.clone(), local_date: 16_572, minute: 23_864_285, utc_offset_s: -16_200,
                    reason: format!("too_old{city}").into(), hits: 7,
                });
            }
            rows.hits.push(hit);
        }
        rows.normalize();
        prop_assert_eq!(decode_rollup(&encode_rollup(&rows).unwrap()).unwrap(), rows);
    }

    #[test]
    fn noise_is_an_error_or_empty(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(rows) = decode_rollup(&zstd::bulk::compress(&noise, 1).unwrap()) {
            prop_assert!(rows.len() <= noise.len());
        }
        prop_assert!(noise.is_empty() || decode_rollup(&noise).is_err());
    }
}

#[test]
fn columns_that_disagree_are_refused_by_name() {
    let rows = RollupRows { hits: vec![row("p_a", "/", vec![1, 2])], ..RollupRows::default() };
    let good = message(&encode_rollup(&rows).unwrap());

    let mut short = good.clone();
    short.hits.as_mut().unwrap().events.clear();
    let error = decode_rollup(&bytes(&short)).unwrap_err();
    assert_eq!(error.to_string(), "column events has 0 values, expected 1");

    let mut long = good.clone();
    long.hits.as_mut().unwrap().custom_metric_4_micros = vec![1, 2];
    let error = decode_rollup(&bytes(&long)).unwrap_err();
    assert_eq!(error.to_string(), "column custom_metric_4_micros has 2 values, expected 1");

    let mut beyond = good.clone();
    beyond.hits.as_mut().unwrap().event_name[0] = 99;
    let error = decode_rollup(&bytes(&beyond)).unwrap_err();
    assert_eq!(error.to_string(), "column event_name holds 99, which is out of range");

    let mut date = good.clone();
    date.hits.as_mut().unwrap().key.as_mut().unwrap().local_date[0] = 70_000;
    let error = decode_rollup(&bytes(&date)).unwrap_err();
    assert_eq!(error.to_string(), "column local_date holds 70000, which is out of range");

    let mut date = good.clone();
    let refusals =
        RefusalColumns { property: vec![0], local_date: vec![70_000], minute: vec![0], ..Default::default() };
    date.refusals =
        Some(RefusalColumns { utc_offset_s: vec![0], reason: vec![0], hits: vec![1], ..refusals.clone() });
    let error = decode_rollup(&bytes(&date)).unwrap_err();
    assert_eq!(error.to_string(), "column local_date holds 70000, which is out of range");
    date.refusals = Some(refusals);
    let error = decode_rollup(&bytes(&date)).unwrap_err();
    assert_eq!(error.to_string(), "column utc_offset_s has 0 values, expected 1");

    let mut ids = good;
    ids.hits.as_mut().unwrap().visitors.push(3);
    assert!(decode_rollup(&bytes(&ids)).is_err());
}
