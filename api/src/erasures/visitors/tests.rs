//! Ids by what is known of visitors, held against SipHash-2-4 as Python computes it.

use configuration::Salt;
use property::NewProperty;

use super::*;

/// 2026-01-31T12:00:00Z
const NOW_MS: u64 = 1_769_860_800_000;

fn property() -> Property {
    let new = NewProperty { name: "Tea".into(), ..NewProperty::default() };
    let mut property = new.create(NOW_MS).unwrap().property;
    property.property_id = "p_a".into();
    property.visitor_key = [7; 16].into();
    property
}

fn traits(date: &str) -> Traits {
    Traits {
        host: "WWW.Shop.example".into(),
        address: "::ffff:203.0.113.7".into(),
        user_agent: "UA".into(),
        date: date.into(),
        imported: false,
    }
}

fn ids(wanted: &Wanted) -> Result<Vec<u64>, Refusal> {
    let salts = SaltMap::from([("2026-01-30".parse().unwrap(), Salt::new([7; 16]))]);
    wanted.ids(&property(), &salts, NOW_MS)
}

#[test]
fn client_ids_visitor_ids_and_traits_give_the_ids_of_rows_once_each() {
    let wanted = Wanted {
        client_ids: vec!["client".into()],
        visitor_ids: vec!["5241f910c5f8549b".into(), "00000000000000ff".into()],
        traits: vec![traits("2026-01-30")],
    };
    // Key 07…07; fields "p_a" and "client"; "p_a", "shop.example", cb007107 and "UA".
    assert_eq!(ids(&wanted).unwrap(), [0xff, 0x5241_f910_c5f8_549b, 0x675b_cb0a_c803_9083]);
}

#[test]
fn a_date_whose_salt_is_gone_is_refused_unless_the_hits_were_imported() {
    let refused = |date: &str| {
        let refusal = ids(&Wanted { traits: vec![traits(date)], ..Wanted::default() }).unwrap_err();
        (refusal.code, refusal.field.unwrap(), refusal.message)
    };
    let (code, field, message) = refused("2026-01-20");
    assert_eq!((code, field.as_str()), (Code::InvalidArgument, "traits[0].date"));
    assert!(message.contains("salt was erased") && message.contains("imported"), "{message}");
    let (code, _, message) = refused("2026-01-31");
    assert_eq!(code, Code::Unavailable, "{message}");
    let imported = Traits { imported: true, ..traits("2026-01-20") };
    assert_eq!(ids(&Wanted { traits: vec![imported], ..Wanted::default() }).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_meant_is_refused_by_field() {
    let of = |traits| Wanted { traits: vec![traits], ..Wanted::default() };
    for (wanted, field) in [
        (Wanted::default(), "client_ids"),
        (Wanted { client_ids: vec!["x".into(); MAX_VISITORS + 1], ..Wanted::default() }, "client_ids"),
        (Wanted { client_ids: vec![String::new()], ..Wanted::default() }, "client_ids[0]"),
        (Wanted { client_ids: vec!["x".repeat(129)], ..Wanted::default() }, "client_ids[0]"),
        (Wanted { visitor_ids: vec!["FF".into()], ..Wanted::default() }, "visitor_ids[0]"),
        (of(Traits { address: "shop".into(), ..traits("2026-01-30") }), "traits[0].address"),
        (of(traits("30.1.2026")), "traits[0].date"),
    ] {
        assert_eq!(ids(&wanted).unwrap_err().field.as_deref(), Some(field), "{wanted:?}");
    }
}
