//! Names and ids of a file against what is there: what each means, and which are refused.
use super::*;

fn there(is_operator: bool) -> There {
    let organisation = |id: &str, name: &str| wire::Organisation {
        organisation_id: id.into(),
        name: name.into(),
        ..Default::default()
    };
    let property = |id: &str, name: &str, of: &str| wire::Property {
        property_id: id.into(),
        name: name.into(),
        organisation_id: of.into(),
        ..Default::default()
    };
    There {
        is_operator,
        organisations: vec![
            organisation("o_1", "Shops"),
            organisation("o_2", "Twin"),
            organisation("o_3", "Twin"),
        ],
        properties: vec![
            property("p_1", "Tea", "o_1"),
            property("p_2", "Same", "o_1"),
            property("p_3", "Same", "o_1"),
            property("p_4", "Tea", ""),
            property("p_5", "Cups", "o_2"),
        ],
    }
}

/// The ids that the properties of the file mean, in order.
fn meaning(text: &str) -> Vec<Option<String>> {
    let (model, there) = (Model::parse(text).unwrap(), there(true));
    let resolved = resolve(&model, &there).unwrap();
    resolved.slots.iter().map(|slot| slot.there.map(|there| there.property_id.clone())).collect()
}

fn refusal(text: &str, is_operator: bool) -> String {
    let (model, there) = (Model::parse(text).unwrap(), there(is_operator));
    resolve(&model, &there).unwrap_err().to_string()
}

#[test]
fn names_are_looked_for_within_their_organisation() {
    let some = |id: &str| Some(id.to_owned());
    assert_eq!(meaning("properties: [{ name: Tea }]"), [some("p_4")]);
    assert_eq!(
        meaning("organisations: [{ name: Shops, properties: [{ name: Tea }, { name: New }] }]"),
        [some("p_1"), None]
    );
    assert_eq!(
        meaning("organisations: [{ id: o_1, name: Renamed, properties: [{ id: p_3 }] }]"),
        [some("p_3")]
    );
    assert_eq!(meaning("organisations: [{ name: New, properties: [{ name: Tea }] }]"), [None]);
    // What an id takes is not found by its old name any more, so one name can go from one to another.
    assert_eq!(
        meaning("organisations: [{ id: o_1, properties: [{ name: Tea }, { id: p_1, name: Coffee }] }]"),
        [None, some("p_1")]
    );
    assert_eq!(
        meaning("organisations: [{ id: o_1, properties: [{ id: p_2 }, { name: Same }] }]"),
        [some("p_2"), some("p_3")]
    );
}

#[test]
fn properties_that_a_list_does_not_have_are_known() {
    let (model, there) =
        (Model::parse("organisations: [{ id: o_1, properties: [{ name: Tea }] }]").unwrap(), there(true));
    let resolved = resolve(&model, &there).unwrap();
    let unlisted: Vec<_> =
        resolved.groups[1].unlisted.iter().map(|property| property.property_id.as_str()).collect();
    assert_eq!(unlisted, ["p_2", "p_3"]);
    assert!(resolved.groups[0].unlisted.is_empty(), "the file does not speak of the operator's");
}

#[test]
fn what_means_nothing_or_too_much_is_refused_with_the_way_out() {
    for (text, parts) in [
        ("organisations: [{ name: Twin }]", &["organisations[0].name", "o_2", "o_3", "give the id"][..]),
        (
            "organisations: [{ id: o_1, properties: [{ name: Same }] }]",
            &["organisations[0].properties[0].name", "p_2", "p_3", "give the id"],
        ),
        ("organisations: [{ id: o_9 }]", &["organisations[0].id", "o_9", "leave the id out"]),
        ("organisations: [{ id: o_1 }, { id: o_1 }]", &["organisations[1].id", "organisations[0]", "once"]),
        (
            "organisations: [{ id: o_1, properties: [{ id: p_9 }] }]",
            &["organisations[0].properties[0].id", "p_9"],
        ),
        (
            "organisations: [{ id: o_1, properties: [{ id: p_5 }] }]",
            &["organisations[0].properties[0].id", "belongs to o_2"],
        ),
        ("properties: [{ id: p_1 }]", &["properties[0].id", "belongs to o_1"]),
        ("organisations: [{ id: o_1, properties: [{ id: p_4 }] }]", &["the operator"]),
        ("properties: [{ time_zone: UTC }]", &["properties[0] has neither id nor name"]),
        ("properties: [{ name: New }, { name: New }]", &["properties[1].name", "properties[0]"]),
        ("organisations: [{ members: [] }]", &["organisations[0] has neither"]),
    ] {
        let said = refusal(text, true);
        assert!(parts.iter().all(|part| said.contains(part)), "{text}: {said}");
    }
}

#[test]
fn a_member_is_told_what_takes_the_admin_key() {
    for (text, part) in [
        ("properties: []", "properties at the top"),
        ("keys: []", "keys at the top"),
        ("organisations: [{ name: New }]", "organisations[0].name is \"New\""),
    ] {
        let said = refusal(text, false);
        assert!(said.contains(part) && said.contains("admin key"), "{text}: {said}");
    }
}
