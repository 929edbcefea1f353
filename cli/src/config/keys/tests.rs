//! Report keys of a file against those that are there.
use super::*;
use crate::config::model::Model;
use crate::config::resolve::{There, resolve};

fn there(id: &str, name: &str, properties: &[&str], expires_at: &str) -> proto::config::Key {
    proto::config::Key {
        key_id: id.into(),
        name: name.into(),
        scopes: vec!["reports".into()],
        property_ids: properties.iter().map(|id| (*id).to_owned()).collect(),
        all_properties: properties.is_empty(),
        expires_at: expires_at.into(),
        ..Default::default()
    }
}

fn organisations() -> There {
    let property = |id: &str, name: &str| proto::config::Property {
        property_id: id.into(),
        name: name.into(),
        organisation_id: "o_1".into(),
        ..Default::default()
    };
    let organisation = proto::config::Organisation {
        organisation_id: "o_1".into(),
        name: "Shops".into(),
        ..Default::default()
    };
    There {
        is_operator: true,
        organisations: vec![organisation],
        properties: vec![property("p_1", "Tea"), property("p_2", "Cups"), property("p_3", "Cups")],
    }
}

/// Names of the keys to make and ids of those left over, of a file with these keys and a new property "New".
fn compared(keys: &str, there: &[proto::config::Key]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let text = format!("organisations: [{{ id: o_1, properties: [{{ name: New }}], keys: [{keys}] }}]");
    let (model, known) = (Model::parse(&text)?, organisations());
    let resolved = resolve(&model, &known)?;
    let files = model.organisations.as_ref().and_then(|all| all[0].keys.as_ref()).unwrap();
    let wanted: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(index, file)| Wanted::read(file, &format!("keys[{index}]"), 1, &resolved))
        .collect::<Result<_, _>>()?;
    let there = there.iter().map(Present::of).chain([Present::made_with(0)]).collect();
    let Keys { made, left } = compare(wanted, there)?;
    Ok((
        made.into_iter().map(|key| key.name).collect(),
        left.iter().map(|key| key.id().to_owned()).filter(|id| !id.is_empty()).collect(),
    ))
}

#[test]
fn a_key_is_what_it_may_do_and_where() {
    let board = there("k_1", "board", &["p_1"], "");
    for (file, made, left) in [
        ("{ name: board, properties: [Tea] }", &[][..], &[][..]),
        ("{ name: board, properties: [p_1], scopes: [reports] }", &[], &[]),
        ("{ name: board }", &[], &[]),
        ("{ name: other, properties: [Tea] }", &["other"], &["k_1"]),
        ("{ name: board, all_properties: true }", &["board"], &["k_1"]),
        ("{ name: board, properties: [Tea], scopes: [config.read] }", &["board"], &["k_1"]),
        ("{ name: board, properties: [Tea, New] }", &["board"], &["k_1"]),
        ("{ name: board, properties: [Tea], expires_at: 2999-01-01T00:00:00Z }", &["board"], &["k_1"]),
        ("", &[], &["k_1"]),
        // The first finds the one that is there, the second is another one.
        ("{ name: board, properties: [Tea] }, { name: board, properties: [Tea] }", &["board"], &[]),
    ] {
        let found = compared(file, std::slice::from_ref(&board)).unwrap();
        assert_eq!(
            (found.0, found.1),
            (made.iter().map(ToString::to_string).collect(), left.iter().map(ToString::to_string).collect()),
            "{file}"
        );
    }
}

#[test]
fn a_key_that_was_replaced_ends_by_itself() {
    let (old, new) =
        (there("k_1", "board", &["p_1"], "2998-01-01T00:00:00Z"), there("k_2", "board", &["p_1"], ""));
    let other = there("k_3", "board", &["p_2"], "2998-01-01T00:00:00Z");
    let found = compared("{ name: board, properties: [Tea] }", &[old, new, other]).unwrap();
    assert_eq!(found, (vec![], vec!["k_3".to_owned()]));
}

#[test]
fn the_key_that_comes_with_a_property_is_not_made_again() {
    let file = "{ name: made with the property, scopes: [reports], properties: [New] }";
    assert_eq!(compared(file, &[]).unwrap(), (vec![], vec![]));
}

#[test]
fn what_no_key_can_be_is_refused() {
    for (file, parts) in [
        ("{ name: a, properties: [Tee] }", &["keys[0].properties[0]", "Tee", "neither"][..]),
        ("{ name: a, properties: [Cups] }", &["keys[0].properties[0]", "give the id"]),
        ("{ name: a }", &["keys[0]", "reaches nothing"]),
        ("{ name: a, properties: [] }", &["keys[0].properties is empty"]),
        ("{ name: a, properties: [Tea], all_properties: true }", &["keys[0].all_properties", "one of them"]),
        ("{ name: a, properties: [Tea], scopes: [write] }", &["keys[0].scopes[0]", "write", "config.read"]),
        ("{ name: a, properties: [Tea], expires_at: soon }", &["keys[0].expires_at", "soon"]),
        ("{ name: a, properties: [Tea], expires_at: 2001-01-01T00:00:00Z }", &["keys[0].expires_at", "over"]),
        ("{ name: '', properties: [Tea] }", &["keys[0].name"]),
    ] {
        let said = compared(file, &[]).unwrap_err().to_string();
        assert!(parts.iter().all(|part| said.contains(part)), "{file}: {said}");
    }
}
