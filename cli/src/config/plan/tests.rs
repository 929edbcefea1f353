//! What a file comes to, against what is there, without an api.
use super::*;
use crate::config::model::Model;
use crate::config::resolve::{There, resolve};

fn there() -> There {
    let property = |id: &str, name: &str, hostnames: &[&str]| wire::Property {
        property_id: id.into(),
        name: name.into(),
        time_zone: "Europe/Berlin".into(),
        currency: "EUR".into(),
        hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
        organisation_id: "o_1".into(),
        ..Default::default()
    };
    let organisation =
        wire::Organisation { organisation_id: "o_1".into(), name: "Shops".into(), ..Default::default() };
    There {
        is_operator: true,
        organisations: vec![organisation],
        properties: vec![property("p_1", "Tea", &["tea.example"]), property("p_2", "Cups", &[])],
    }
}

fn details() -> Details {
    let member = |id: &str, email: &str, role: &str| wire::Member {
        organisation_id: "o_1".into(),
        member_id: id.into(),
        name: "Any".into(),
        email: email.into(),
        role: role.into(),
        ..Default::default()
    };
    let alias = |property: &str, id: &str| wire::Alias {
        property_id: property.into(),
        protocol: "plausible".into(),
        id: id.into(),
        hostname: String::new(),
    };
    let rules = "time_zone = \"Europe/Berlin\"\nsession_timeout_s = 300\n".to_owned();
    Details {
        streams: BTreeMap::new(),
        members: BTreeMap::from([(
            1,
            Ok(vec![member("u_1", "ada@x.example", "owner"), member("u_2", "bo@x.example", "viewer")]),
        )]),
        keys: BTreeMap::from([(1, Ok(Vec::new()))]),
        aliases: BTreeMap::from([
            ("p_1".to_owned(), vec![alias("p_1", "tea.example")]),
            ("p_2".to_owned(), vec![alias("p_2", "cups.example")]),
        ]),
        rules: BTreeMap::from([("p_1".to_owned(), rules.clone()), ("p_2".to_owned(), rules)]),
    }
}

fn planned(of_o_1: &str, is_pruning: bool) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let (model, there) = (Model::parse(&format!("organisations: [{{ id: o_1, {of_o_1} }}]"))?, there());
    let resolved = resolve(&model, &there)?;
    let plan = plan(&resolved, &details(), is_pruning)?;
    let shown = |entry: &Entry| {
        let fields =
            entry.fields.iter().map(|field| format!(" {}={}>{}", field.field, field.before, field.after));
        format!("{:?} {:?} {}{}", entry.action, entry.kind, entry.name, fields.collect::<String>())
    };
    let changes = plan.changes.iter().map(|change| shown(&change.entry));
    Ok((changes.collect(), plan.left.iter().map(shown).collect()))
}

#[test]
fn a_file_comes_to_what_differs() {
    for (file, changes) in [
        ("name: Shops", &[][..]),
        ("name: Shops Ltd", &["Update Organisation Shops Ltd name=\"Shops\">\"Shops Ltd\""]),
        ("properties: [{ id: p_1 }, { id: p_2 }]", &[]),
        // As the api spells them.
        ("properties: [{ id: p_1, time_zone: europe/berlin, hostnames: [TEA.example] }, { id: p_2 }]", &[]),
        (
            "properties: [{ id: p_1, time_zone: Asia/Tokyo }, { id: p_2 }]",
            &["Update Property Tea time_zone=\"Europe/Berlin\">\"Asia/Tokyo\""],
        ),
        ("properties: [{ id: p_1, rules: { session_timeout_s: 300 } }, { id: p_2 }]", &[]),
        // A table of rules is all of them.
        (
            "properties: [{ id: p_1, rules: {} }, { id: p_2 }]",
            &["Update Rules Tea session_timeout_s=300>1800"],
        ),
        (
            "properties: [{ id: p_1, currency: USD, rules: { session_timeout_s: 60 } }, { id: p_2 }]",
            &["Update Property Tea currency=\"EUR\">\"USD\"", "Update Rules Tea session_timeout_s=300>60"],
        ),
        ("properties: [{ id: p_1, aliases: [{ protocol: plausible, id: TEA.example }] }, { id: p_2 }]", &[]),
        (
            "properties: [{ id: p_1 }, { id: p_2 }, { name: New, currency: JPY }]",
            &["Create Property New currency=null>\"JPY\""],
        ),
        (
            "members: [{ email: ADA@x.example }, { email: bo@x.example, role: editor }]",
            &["Update Member bo@x.example role=\"viewer\">\"editor\""],
        ),
        (
            "members: [{ email: ada@x.example }, { email: bo@x.example }, { email: cy@x.example, name: Cy, role: viewer }]",
            &["Create Member cy@x.example name=null>\"Cy\" role=null>\"viewer\""],
        ),
    ] {
        let (found, left) = planned(file, false).unwrap();
        assert_eq!((found, left), (changes.iter().map(ToString::to_string).collect(), Vec::new()), "{file}");
    }
}

#[test]
fn what_a_list_does_not_have_goes_only_with_prune() {
    for (file, left, pruned) in [
        (
            "properties: [{ id: p_1, aliases: [], hostnames: [new.example] }, { id: p_2 }]",
            &["Leave Hostname tea.example", "Leave Alias plausible tea.example"][..],
            &[
                "Update Property Tea hostnames=[\"tea.example\"]>[\"new.example\"]",
                "Remove Alias plausible tea.example",
            ][..],
        ),
        (
            "members: [{ email: ada@x.example }]",
            &["Leave Member bo@x.example"],
            &["Remove Member bo@x.example"],
        ),
    ] {
        assert_eq!(planned(file, false).unwrap().1, left, "{file}");
        let (changes, still_left) = planned(file, true).unwrap();
        assert_eq!(
            (changes, still_left),
            (pruned.iter().map(ToString::to_string).collect(), Vec::new()),
            "{file}"
        );
    }
    // What holds data stays.
    let (changes, left) = planned("properties: [{ id: p_1 }]", true).unwrap();
    assert_eq!((changes, left), (Vec::new(), vec!["Leave Property Cups".to_owned()]));
    let (added, _) =
        planned("properties: [{ id: p_1, hostnames: [new.example] }, { id: p_2 }]", false).unwrap();
    assert_eq!(added, ["Update Property Tea hostnames=[\"tea.example\"]>[\"new.example\",\"tea.example\"]"]);
}

#[test]
fn an_alias_moves_only_when_the_file_takes_it_away() {
    let both = "properties: [{ id: p_1, aliases: [{ protocol: plausible, id: cups.example }] }, { id: p_2, aliases: [] }]";
    let said = planned(both, false).unwrap_err().to_string();
    assert!(
        said.contains("properties[0].aliases[0]") && said.contains("p_2") && said.contains("--prune"),
        "{said}"
    );
    let (changes, _) = planned(both, true).unwrap();
    assert_eq!(
        changes,
        [
            "Create Alias plausible cups.example",
            "Remove Alias plausible tea.example",
            "Remove Alias plausible cups.example"
        ]
    );
    let one = "properties: [{ id: p_1, aliases: [{ protocol: plausible, id: cups.example }] }, { id: p_2 }]";
    let said = planned(one, true).unwrap_err().to_string();
    assert!(said.contains("alias remove --property p_2"), "{said}");
}

#[test]
fn rights_are_taken_last_and_aliases_given_up_before_they_are_claimed() {
    let (model, there) = (
        Model::parse(
            "organisations: [{ id: o_1, members: [{ email: ada@x.example, role: viewer }, { email: bo@x.example, role: owner }],
             properties: [{ id: p_1, aliases: [] }, { id: p_2, aliases: [{ protocol: plausible, id: tea.example }] }] }]",
        )
        .unwrap(),
        there(),
    );
    let resolved = resolve(&model, &there).unwrap();
    let mut changes = plan(&resolved, &details(), true).unwrap().changes;
    changes.sort_by_key(|change| change.phase);
    let order: Vec<_> = changes.iter().map(|change| (change.phase, change.entry.name.as_str())).collect();
    assert_eq!(
        order,
        [
            (Phase::AliasesGivenUp, "plausible tea.example"),
            (Phase::AliasesGivenUp, "plausible cups.example"),
            (Phase::Aliases, "plausible tea.example"),
            (Phase::Members, "bo@x.example"),
            (Phase::RightsTaken, "ada@x.example"),
        ]
    );
}

#[test]
fn bad_values_are_told_with_their_place_before_anything_changes() {
    for (file, parts) in [
        (
            "properties: [{ id: p_1, time_zone: Europe/Atlantis }]",
            &["organisations[0].properties[0].time_zone", "Europe/Atlantis", "IANA"][..],
        ),
        (
            "properties: [{ id: p_1, currency: euro }]",
            &["organisations[0].properties[0].currency", "ISO 4217"],
        ),
        (
            "properties: [{ id: p_1, hostnames: [a.example, 'b c'] }]",
            &["organisations[0].properties[0].hostnames[1]", "b c"],
        ),
        ("properties: [{ id: p_1, data_region: EU }]", &["organisations[0].properties[0].data_region"]),
        ("properties: [{ id: p_1, name: '' }]", &["organisations[0].properties[0].name"]),
        (
            "properties: [{ id: p_1, rules: { session_timeout_s: 0 } }]",
            &["organisations[0].properties[0].rules.session_timeout_s", "between 1 and 86400"],
        ),
        (
            "properties: [{ name: New, rules: { session_timeout_s: 0 } }]",
            &["organisations[0].properties[0].rules.session_timeout_s"],
        ),
        (
            "properties: [{ id: p_1, time_zone: UTC, rules: { time_zone: Asia/Tokyo } }]",
            &["organisations[0].properties[0].rules.time_zone", "Asia/Tokyo", "leave one of them out"],
        ),
        (
            "properties: [{ id: p_1, aliases: [{ protocol: piwik, id: a }] }]",
            &["organisations[0].properties[0].aliases[0].protocol", "matomo"],
        ),
        ("properties: [{ id: p_1, aliases: [{ protocol: matomo, id: '7' }] }]", &["aliases[0].hostname"]),
        (
            "properties: [{ id: p_1, aliases: [{ protocol: ga4, id: G-1 }] }, { id: p_2, aliases: [{ protocol: ga4, id: G-1 }] }]",
            &["organisations[0].properties[1].aliases[0]", "organisations[0].properties[0].aliases[0]"],
        ),
        ("members: [{ email: cy@x.example }]", &["organisations[0].members[0].name", "cy@x.example"]),
        ("members: [{ email: cy, name: Cy, role: viewer }]", &["organisations[0].members[0].email"]),
        (
            "members: [{ email: ada@x.example }, { email: ADA@x.example }]",
            &["organisations[0].members[1].email", "organisations[0].members[0]"],
        ),
    ] {
        let said = format!("{:#}", planned(file, true).unwrap_err());
        assert!(parts.iter().all(|part| said.contains(part)), "{file}: {said}");
    }
}

#[test]
fn a_list_that_the_key_may_not_see_is_not_taken_for_empty() {
    let (model, there) = (Model::parse("organisations: [{ id: o_1, members: [] }]").unwrap(), there());
    let resolved = resolve(&model, &there).unwrap();
    let mut details = details();
    details.members.insert(1, Err("takes the role owner".to_owned()));
    let said = format!("{:#}", plan(&resolved, &details, true).unwrap_err());
    assert!(said.contains("organisations[0].members") && said.contains("takes the role owner"), "{said}");
}
