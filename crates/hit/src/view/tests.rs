//! Views read what prost writes, write what prost writes, and refuse what prost refuses.

use proptest::option;
use proptest::prelude::*;
use prost::Message;
use proto::hit::{BlockBody, Forget, ImportMark, Refusals};

use super::*;

fn header(hits: usize) -> BlockHeader {
    BlockHeader { block: 1, from: 2, hits: u32::try_from(hits).unwrap(), received_at_ms: 3 }
}

fn params() -> impl Strategy<Value = Vec<Parameter>> {
    let value = prop_oneof![
        "[a-zé]{0,5}".prop_map(parameter::Value::Text),
        (-1e9..1e9).prop_map(parameter::Value::Number),
        any::<bool>().prop_map(parameter::Value::Flag),
    ];
    let param = ("[a-z]{0,4}", option::of(value)).prop_map(|(key, value)| Parameter { key, value });
    proptest::collection::vec(param, 0..4)
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let numbers = (option::of(-1e9..1e9), option::of(-1e9..1e9));
    let item = (proptest::collection::vec("[a-zé]{0,5}", 5), numbers, params());
    let item = item.prop_map(|(mut texts, (price, quantity), params)| {
        let mut text = || texts.pop().unwrap();
        Item {
            id: text(),
            name: text(),
            brand: text(),
            category: text(),
            variant: text(),
            price,
            quantity,
            params,
        }
    });
    proptest::collection::vec(item, 0..3)
}

fn hints() -> impl Strategy<Value = Option<ClientHints>> {
    let hints = (proptest::collection::vec("[a-zé ]{0,5}", 3), option::of(any::<bool>()));
    option::of(hints.prop_map(|(mut texts, mobile)| {
        let mut text = || texts.pop().unwrap();
        ClientHints { brands: text(), platform: text(), platform_version: text(), mobile }
    }))
}

/// Hits with any field empty or not.
fn hit() -> impl Strategy<Value = RawHit> {
    let texts = proptest::collection::vec("[ -~äß€]{0,12}|[a-z]{130}", 15);
    let numbers = proptest::collection::vec(prop_oneof![Just(0), 1..300_u64, any::<u64>()], 3);
    let few = (
        any::<u32>(),
        0..3_u32,
        option::of(any::<u64>()),
        option::of(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let ip = proptest::collection::vec(any::<u8>(), 0..7);
    (texts, numbers, few, params(), ip, items(), hints()).prop_map(
        |(mut texts, numbers, few, params, truncated_ip, items, client_hints)| {
            let mut text = || texts.pop().unwrap();
            RawHit {
                property_id: text(),
                rules_version: few.0,
                event_time_ms: numbers[0],
                visitor_id: numbers[1],
                previous_visitor_id: few.2,
                hit_id: text(),
                attempt: few.1,
                client_id: text(),
                session_id: text(),
                first_visit: few.3,
                event: text(),
                url: text(),
                referrer: text(),
                title: text(),
                language: text(),
                screen: text(),
                engagement_ms: numbers[2],
                params,
                country: text(),
                truncated_ip,
                user_agent: text(),
                backdated: few.4,
                sent_by_server: few.5,
                items,
                region: text(),
                city: text(),
                network: text(),
                client_hints,
                prefetch: few.6,
            }
        },
    )
}

fn body() -> impl Strategy<Value = BlockBody> {
    let mark = ("[a-z]{0,4}", any::<u64>());
    let mark = mark.prop_map(|(property_id, event_time_ms)| ImportMark { property_id, event_time_ms });
    let refused = ("[a-z]{0,4}", any::<u32>(), "[a-z_]{0,9}", any::<u64>());
    let refused = refused.prop_map(|(property_id, rules_version, reason, count)| Refusals {
        property_id,
        rules_version,
        reason,
        count,
    });
    let forget = ("[a-z0-9_]{0,9}", "[a-z]{0,4}", proptest::collection::vec(any::<u64>(), 0..4));
    let forget = forget.prop_map(|(job, property_id, visitor_ids)| Forget { job, property_id, visitor_ids });
    (
        proptest::collection::vec(hit(), 0..4),
        proptest::collection::vec(mark, 0..3),
        proptest::collection::vec(refused, 0..3),
        proptest::collection::vec(forget, 0..3),
    )
        .prop_map(|(hits, import_marks, refusals, forgets)| BlockBody {
            hits,
            import_marks,
            refusals,
            forgets,
        })
}

proptest! {
    #[test]
    fn views_read_what_prost_writes(body in body()) {
        let bytes = body.encode_to_vec();
        let block = Block { header: header(body.hits.len()), body };
        prop_assert_eq!(BlockView::parse(block.header, &bytes).unwrap(), BlockView::of(&block));
    }

    #[test]
    fn views_write_what_prost_writes(hit in hit()) {
        let mut written = Vec::new();
        HitView::of(&hit).push_to(&mut written);
        let body = BlockBody { hits: vec![hit], ..BlockBody::default() };
        prop_assert_eq!(written, body.encode_to_vec());
    }

    #[test]
    fn views_take_and_refuse_what_prost_does(body in body(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = body.encode_to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let owned = BlockBody::decode(bytes.as_slice());
        let header = header(owned.as_ref().map_or(0, |body| body.hits.len()));
        match (owned, BlockView::parse(header, &bytes)) {
            (Ok(body), Ok(view)) => {
                let block = Block { header, body };
                // By their text: a changed byte may have made a number that equals nothing.
                prop_assert_eq!(format!("{:?}", BlockView::of(&block)), format!("{view:?}"));
            }
            (Err(_), Err(BlockError::Body(..))) => {}
            (owned, view) => prop_assert!(false, "prost: {owned:?}, view: {view:?}"),
        }
    }
}

#[test]
fn fields_of_a_later_build_are_passed_over() {
    let mut bytes = Vec::new();
    number(99, 7, &mut bytes);
    text(1, "p_a", &mut bytes);
    let mut body = Vec::new();
    body.bytes(1, &bytes);
    assert_eq!(BlockView::parse(header(1), &body).unwrap().hits[0].property_id, "p_a");
    assert!(matches!(BlockView::parse(header(2), &body), Err(BlockError::Count { header: 2, body: 1, .. })));
}
