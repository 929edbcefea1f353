//! Fields as people read them; secrets, hashes and keys of visitors nowhere.

use configuration::stored::NamedProperty;
use configuration::stored::access::{Holder, Key, Member, Role};
use property::{ApiSecret, KeyHash, NewProperty, PropertyUpdate};

use super::*;

fn write(key: String, before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> Write {
    Write { key, before, after }
}

fn member(name: &str, role: Role) -> Member {
    Member {
        organisation_id: "o_a".into(),
        member_id: "u_a".into(),
        name: name.into(),
        email: "u@a.example".into(),
        role,
        created_at_ms: 7,
        keys: vec![ApiSecret { hash: KeyHash::of("mk_secret"), expires_at_ms: 9 }],
    }
}

fn change(field: &str, before: Json, after: Json) -> ValueChange {
    ValueChange { field: field.into(), before: Some(before), after: Some(after) }
}

#[test]
fn fields_that_differ_are_told_and_no_others() {
    let value = |name, role| Some(access::member_value(&member(name, role)));
    let write = write("member/o_a/u_a".into(), value("A", Role::Viewer), value("B", Role::Owner));
    let shown = records(&[write]).unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].record, "member/o_a/u_a");
    let expected = [change("name", json!("A"), json!("B")), change("role", json!("viewer"), json!("owner"))];
    assert_eq!(shown[0].fields, expected);
}

#[test]
fn zone_and_currency_of_a_property_are_fields_of_its_rules() {
    let new = NewProperty { name: "Shop".into(), ..NewProperty::default() };
    let created = new.create(1).unwrap();
    let named = NamedProperty {
        property: created.property,
        name: created.name,
        organisation_id: "o_a".into(),
        retention_days: 0,
    };
    let update = PropertyUpdate { currency: Some("EUR".into()), ..PropertyUpdate::default() };
    let (property, _) = named.property.updated("Shop", update, 1).unwrap();
    let after = NamedProperty { property, ..named.clone() };
    let key = stored::property_key(&named.property.property_id);
    let (before, after) = (stored::property_value(&named), stored::property_value(&after));
    let shown = records(&[write(key.clone(), Some(before), Some(after))]).unwrap();
    let since = ValueChange { field: "rules.since_ms".to_owned(), before: None, after: Some(json!(1)) };
    let expected = [
        change("rules.currency", json!("USD"), json!("EUR")),
        since,
        change("rules.version", json!(1), json!(2)),
    ];
    assert_eq!((shown[0].record.as_str(), shown[0].fields.as_slice()), (key.as_str(), &expected[..]));
}

#[test]
fn no_secret_and_no_hash_is_shown_in_any_form() {
    let created = NewProperty { name: "Shop".into(), ..NewProperty::default() }.create(1).unwrap();
    let visitor_key = *created.property.visitor_key.bytes();
    let named = NamedProperty {
        property: created.property,
        name: created.name,
        organisation_id: "o_a".into(),
        retention_days: 0,
    };
    let hash = KeyHash::of("mk_secret");
    let key = Key {
        key_id: "k_a".into(),
        organisation_id: "o_a".into(),
        name: "n".into(),
        holder: Holder::Member("u_a".into()),
        created_at_ms: 1,
        expires_at_ms: 0,
    };
    let writes = [
        write(stored::property_key("p_a"), None, Some(stored::property_value(&named))),
        write(access::key_key(&hash), None, Some(access::key_value(&key))),
        write(access::key_id_key("k_a"), None, Some(hash.bytes().to_vec())),
        write(access::member_key("o_a", "u_a"), Some(access::member_value(&member("A", Role::Owner))), None),
    ];
    let shown = records(&writes).unwrap();
    let names: Vec<_> = shown.iter().map(|record| record.record.as_str()).collect();
    assert_eq!(names, ["property/p_a", "key/k_a", "member/o_a/u_a"]);
    let text = format!("{shown:?}");
    let secret = KeyHash::of(&created.api_secret);
    for bytes in [&hash.bytes()[..], secret.bytes(), &visitor_key] {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = json!(base64_of(bytes));
        let list = format!("{:?}", &bytes[..4]).replace(['[', ']'], "");
        for form in [hex, base64.as_str().unwrap().to_owned(), list] {
            assert!(!text.contains(&form), "{form} in {text}");
        }
    }
    assert!(text.contains("expires_at_ms"), "that a secret is there is no secret: {text}");
}

/// RFC 4648, without padding.
fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let digit = |six: &[bool]| six.iter().fold(0, |all, bit| all * 2 + usize::from(*bit));
    bits.chunks_exact(6).map(|six| char::from(DIGITS[digit(six)])).collect()
}
