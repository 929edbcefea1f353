//! Organisations, members, keys and the audit as a person on the command line has them, against the running system.

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::sentence;
use crate::system::{Options, System};

fn lines(system: &System, arguments: &[&str]) -> Vec<Value> {
    let output = system.run(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", sentence(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn one(system: &System, arguments: &[&str]) -> Value {
    let mut lines = lines(system, arguments);
    assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
    lines.remove(0)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn refused(system: &System, arguments: &[&str], parts: &[&str]) {
    let output = system.run(arguments);
    let said = sentence(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(
        said.lines().count() == 1 && parts.iter().all(|part| said.contains(part)),
        "{arguments:?}: {said}"
    );
}

#[test]
fn an_owner_runs_an_organisation_from_the_command_line() {
    let system = System::start(&Options::default());
    let first =
        ["org", "first-owner", "--organisation", "Shops", "--name", "Ada", "--email", "ada@x.example"];
    let owner = one(&system, &first);
    let (key, organisation) = (text(&owner, "key"), text(&owner, "organisation_id"));
    refused(&system, &first, &["an owner already", "meridian org create"]);
    let second = one(&system, &["org", "create", "--name", "Second"]);
    assert_eq!(lines(&system, &["org", "list"]).len(), 2);
    let shown = one(&system, &["org", "show", "--key", key]);
    assert_eq!((text(&shown, "name"), text(&shown, "organisation_id")), ("Shops", organisation));
    refused(
        &system,
        &["org", "show", "--organisation", text(&second, "organisation_id"), "--key", key],
        &["organisation_id"],
    );
    refused(&system, &["org", "create", "--name", "Third", "--key", key], &["takes the admin key"]);
    let renamed = one(&system, &["org", "update", "--name", "Shops Ltd", "--key", key]);
    assert_eq!(text(&renamed, "name"), "Shops Ltd");

    let add = ["member", "add", "--name", "Bo", "--email", "bo@x.example", "--role", "editor", "--key", key];
    let editor = one(&system, &add);
    let created = one(&system, &["property", "create", "--name", "Tea", "--key", text(&editor, "key")]);
    let fields: Vec<_> = created.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["property_id", "measurement_id", "api_secret", "report_key"];
    expected.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, expected, "what scripts read");
    let property = text(&created, "property_id");
    let shown = one(&system, &["property", "show", "--property", property, "--key", key]);
    assert_eq!(text(&shown, "organisation_id"), organisation);
    let update = ["property", "update", "--property", property, "--name", "Tea shop", "--currency", "EUR"];
    let updated = one(&system, &[&update[..], &["--key", text(&editor, "key")]].concat());
    assert_eq!((text(&updated, "name"), text(&updated, "currency")), ("Tea shop", "EUR"));
    keys_and_reports(&system, key, property);
    let rotate = ["property", "rotate-secret", "--property", property, "--overlap", "0", "--key"];
    let secret = one(&system, &[&rotate[..], &[key]].concat());
    assert!(text(&secret, "api_secret").starts_with("sk_"), "{secret}");
    refused(&system, &[&rotate[..], &[text(&editor, "key")]].concat(), &["owner", "admin key"]);

    let changes = lines(&system, &["audit", "--property", property, "--key", key]);
    let methods: Vec<_> = changes.iter().map(|change| text(change, "method")).collect();
    assert_eq!(
        methods,
        ["RotateApiSecret", "RevokeKey", "RotateKey", "CreateKey", "UpdateProperty", "CreateProperty"]
    );
    let named = json!({ "field": "name", "before": "Tea", "after": "Tea shop" });
    let fields = changes[4]["records"][0]["fields"].as_array().unwrap();
    assert!(fields.contains(&named), "{fields:?}");
    assert_eq!(lines(&system, &["audit", "--limit", "2"]).len(), 2);
    let table = system.run(&["audit", "--key", key]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("UpdateProperty") && table.contains("\"Tea shop\""), "{table}");
    refused(&system, &["audit", "--key", text(&editor, "key")], &["owner"]);

    members(&system, key, &owner, &editor);
}

fn keys_and_reports(system: &System, key: &str, property: &str) {
    let create =
        ["key", "create", "--name", "board", "--property", property, "--scope", "reports", "--key", key];
    let made = one(system, &create);
    let report = ["report", "--property", property, "--metrics", "page_views", "--format", "json", "--key"];
    assert!(system.run(&[&report[..], &[text(&made, "key")]].concat()).status.success());
    let rotated =
        one(system, &["key", "rotate", "--id", text(&made, "key_id"), "--overlap", "0", "--key", key]);
    refused(system, &[&report[..], &[text(&made, "key")]].concat(), &["expired"]);
    assert!(system.run(&[&report[..], &[text(&rotated, "key")]].concat()).status.success());
    let listed = lines(system, &["key", "list", "--key", key]);
    assert!(listed.iter().any(|listed| listed["key_id"] == rotated["key_id"]), "{listed:?}");
    let revoke = ["key", "revoke", "--id", text(&rotated, "key_id"), "--key", key];
    assert!(system.run(&revoke).status.success());
    refused(system, &[&report[..], &[text(&rotated, "key")]].concat(), &["key is not known"]);
}

fn members(system: &System, key: &str, owner: &Value, editor: &Value) {
    let member = text(editor, "member_id");
    let update = ["member", "update", "--member", member, "--role", "viewer", "--key", key];
    assert_eq!(text(&one(system, &update), "role"), "viewer");
    refused(system, &["property", "create", "--key", text(editor, "key")], &["editor or owner"]);
    let last = ["member", "remove", "--member", text(owner, "member_id"), "--key", key];
    refused(system, &last, &["last owner"]);
    assert!(system.run(&["member", "remove", "--member", member, "--key", key]).status.success());
    refused(system, &["property", "list", "--key", text(editor, "key")], &["key is not known"]);
    assert_eq!(lines(system, &["member", "list", "--key", key]).len(), 1);
}

#[test]
fn every_data_stream_of_a_property_is_counted_in_it() {
    let system = System::start(&Options::default());
    let property = system.create_property(&[]);
    let id = property.property_id.as_str();
    let till = one(&system, &["stream", "create", "--property", id, "--name", "Till"]);
    let measurement_id = text(&till, "measurement_id");
    let listed = lines(&system, &["stream", "list", "--property", id]);
    let listed: Vec<_> =
        listed.iter().map(|stream| (text(stream, "measurement_id"), text(stream, "name"))).collect();
    assert_eq!(listed, [(property.measurement_id.as_str(), ""), (measurement_id, "Till")]);
    let send = |measurement_id: &str| {
        let hit = json!({"event": "page_view", "url": "https://shop.example/", "client_id": measurement_id});
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
        system.collect(&json!({"measurement_id": measurement_id, "hits": [hit]}), &[("user-agent", browser)])
    };
    for stream in [measurement_id, &property.measurement_id] {
        let (status, said) = send(stream);
        assert_eq!(status, StatusCode::NO_CONTENT, "{said}");
    }
    system.settle();
    let counted = system.rows(&property, "--from today --to today --metrics page_views,visitors");
    assert_eq!(counted, [json!({"page_views": 2, "visitors": 2})]);

    let script = system.get(&format!("{}/t/{measurement_id}.js", system.address("collect"))).unwrap();
    let script = String::from_utf8_lossy(&script.body).into_owned();
    assert!(script.contains(measurement_id) && !script.contains(&property.measurement_id), "{script}");
    let update =
        ["stream", "update", "--property", id, "--measurement-id", measurement_id, "--name", "Shop 7"];
    assert_eq!(text(&one(&system, &update), "name"), "Shop 7");

    let delete = |measurement_id| ["stream", "delete", "--property", id, "--measurement-id", measurement_id];
    refused(&system, &delete(&property.measurement_id), &["made with the property"]);
    assert!(system.run(&delete(measurement_id)).status.success());
    refused(&system, &delete(measurement_id), &["no data stream"]);
    let (status, said) = send(measurement_id);
    assert_eq!(status, StatusCode::NOT_FOUND, "{said}");
    assert_eq!(send(&property.measurement_id).0, StatusCode::NO_CONTENT);
}
