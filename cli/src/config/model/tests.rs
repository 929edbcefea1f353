//! Files of `meridian config` as people write them: what is understood, what is refused and in which words, and what is written.
use super::*;

const FILE: &str = r#"
organisations:
  - name: Shops
    members:
      - { email: ada@x.example, name: Ada, role: owner }
    properties:
      - name: Tea
        time_zone: Europe/Berlin
        hostnames: [tea.example]
        aliases: [{ protocol: matomo, id: "7", hostname: tea.example }]
        rules:
          session_timeout_s: 300
          session: { engaged_page_views: 3 }
          tracker: { scroll: true }
    keys:
      - { name: board, scopes: [reports], all_properties: true, expires_at: 2031-01-31T12:00:00Z }
properties: []
"#;

#[test]
fn a_file_says_what_it_says_and_nothing_of_the_rest() {
    let model = Model::parse(FILE).unwrap();
    let organisation = &model.organisations.as_ref().unwrap()[0];
    assert_eq!((organisation.name.as_deref(), organisation.id.as_ref()), (Some("Shops"), None));
    assert_eq!(organisation.members.as_ref().unwrap()[0].role, Some(Role::Owner));
    let property = &organisation.properties.as_ref().unwrap()[0];
    assert_eq!(property.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(property.currency, None, "left out");
    let rules = property.rules.as_ref().unwrap().text().unwrap();
    assert!(
        rules.contains("session_timeout_s = 300\n") && rules.contains("engaged_page_views = 3\n"),
        "{rules}"
    );
    assert!(rules.contains("session_grace_s = 300\n"), "at its default: {rules}");
    assert_eq!(
        (model.properties.as_deref(), model.keys.as_deref()),
        (Some(&[][..]), None),
        "an empty list is one"
    );
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let model = Model::parse(FILE).unwrap();
    for form in [Form::Yaml, Form::Json] {
        let text = model.text(form).unwrap();
        assert_eq!(Model::parse(&text).unwrap(), model, "{text}");
        assert!(!text.contains("session_grace_s"), "what is at its default is left out: {text}");
    }
}

#[test]
fn rules_at_their_defaults_are_an_empty_table() {
    let model = Model::parse("properties: [{ name: Tea, rules: { session_timeout_s: 1800 } }]").unwrap();
    assert_eq!(model.text(Form::Yaml).unwrap(), "properties:\n- name: Tea\n  rules: {}\n");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, parts) in [
        ("", &["nothing in it", "config export"][..]),
        ("# nothing\n\n", &["nothing in it"]),
        ("organizations: []", &["organizations", "organisations"]),
        (
            "organisations:\n- name: A\n  properties:\n  - time_zon: UTC\n",
            &["organisations[0].properties[0]", "time_zon", "time_zone"],
        ),
        ("properties:\n- name: A\n- name: [B]\n", &["properties[1].name", "string"]),
        (
            "properties:\n- rules: { session: { engaged: 1 } }\n",
            &["properties[0].rules.session", "engaged", "engaged_after_s"],
        ),
        ("properties:\n- name: A\n  name: B\n", &["name", "duplicate"]),
        (
            "organisations:\n- members: [{ email: a@b, role: boss }]\n",
            &["organisations[0].members[0].role", "boss", "owner"],
        ),
        ("organisations:\n- members: [{ name: A }]\n", &["organisations[0].members[0]", "email"]),
        ("keys: [{ scopes: [reports] }]", &["keys[0]", "name"]),
        ("keys: [{ id: k_1, name: a }]", &["keys[0]", "id"]),
        ("{\"properties\": [{\"name\": 7}]}", &["properties[0].name", "string"]),
        ("{\"properties\": []} x", &["one JSON object"]),
        ("properties: [", &["line"]),
        ("properties", &["a table of organisations, properties, keys"]),
        ("properties: [Tea]", &["properties[0]", "Tea", "a table that describes a property"]),
        ("a: 1\n---\nb: 2\n", &["a"]),
    ] {
        let said = format!("{:#}", Model::parse(text).unwrap_err());
        assert!(parts.iter().all(|part| said.contains(part)), "{text:?}: {said}");
        assert!(!said.contains('\n'), "{text:?}: {said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = format!("{:#}", Model::read(Path::new("/no/such.yaml")).unwrap_err());
    assert!(said.contains("--file = \"/no/such.yaml\""), "{said}");
}

#[test]
fn only_what_is_otherwise_differs() {
    let there = wire::Property {
        name: "Tea".into(),
        time_zone: "UTC".into(),
        currency: "USD".into(),
        ..Default::default()
    };
    assert_eq!(Property::of(&there).differences(&there), []);
    let file =
        Property { time_zone: Some("Asia/Tokyo".into()), name: Some("Tea".into()), ..Property::default() };
    assert_eq!(file.differences(&there), [Field::new("time_zone", &"UTC", &"Asia/Tokyo")]);
    let update = file.update("p_1");
    assert_eq!((update.property_id.as_str(), update.time_zone.as_str()), ("p_1", "Asia/Tokyo"));
}
