//! What is configured as a file: applied, exported, applied again and elsewhere, by the operator and by members, against the running system.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};

use crate::system::command::sentence;
use crate::system::{Options, System, new_directory};

/// Exit code of a dry run that found differences.
const DIFFERS: i32 = 4;

const FILE: &str = r#"
organisations:
  - name: Shops
    members:
      - { email: ada@shops.example, name: Ada, role: owner }
      - { email: bo@shops.example, name: Bo, role: editor }
    properties:
      - name: Tea
        time_zone: Europe/Berlin
        currency: EUR
        hostnames: [tea.example, www.tea.example]
        retention_days: 400
        daily_hits: 100000
        hits_per_second: 500
        streams: [Till, Android app]
        aliases:
          - { protocol: plausible, id: tea.example }
          - { protocol: matomo, id: "7", hostname: tea.example }
        rules:
          session_timeout_s: 300
          events: { key_events: [signup] }
          tracker: { scroll: true }
      - { name: Cups, data_region: eu }
    keys:
      - { name: board, scopes: [reports, config.read], all_properties: true }
      - { name: partner, properties: [Tea], expires_at: 2090-01-31T12:00:00Z }
  - name: Second
properties:
  - { name: Own site, time_zone: Asia/Kolkata }
"#;

/// Runs `config` with the file on its standard input.
fn config(system: &System, arguments: &[&str], file: &str) -> Output {
    system.run_with_input(&[&["config"], arguments].concat(), file.as_bytes())
}

fn apply(system: &System, arguments: &[&str], file: &str) -> Output {
    config(system, &[&["apply", "-f", "-"], arguments].concat(), file)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success() || output.status.code() == Some(DIFFERS), "{}", sentence(output));
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// What differs, without changing it.
fn differences(system: &System, arguments: &[&str], file: &str) -> Vec<Value> {
    let lines = lines(&apply(system, &[&["--dry-run", "--format", "json"], arguments].concat(), file));
    events(&lines, "change").into_iter().cloned().collect()
}

fn export(system: &System, arguments: &[&str]) -> String {
    let output = config(system, &[&["export"], arguments].concat(), "");
    assert!(output.status.success(), "{}", sentence(&output));
    stdout(&output)
}

fn export_json(system: &System, arguments: &[&str]) -> Value {
    serde_json::from_str(&export(system, &[&["--format", "json"], arguments].concat())).unwrap()
}

fn refused(output: &Output, parts: &[&str]) {
    let said = sentence(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && parts.iter().all(|part| said.contains(part)), "{said}");
}

/// Applies the file to an empty deployment; gives the secrets by what they are of.
fn first_apply(system: &System) -> BTreeMap<String, Value> {
    let dry = apply(system, &["--dry-run"], FILE);
    assert_eq!(dry.status.code(), Some(DIFFERS), "{}", sentence(&dry));
    let said = stdout(&dry);
    for line in [
        "+ organisation \"Shops\"\n",
        "+ property \"Tea\" of organisation \"Shops\"\n    time_zone: \"Europe/Berlin\"\n    currency: \"EUR\"\n    retention_days: 400\n",
        "+ data stream \"Till\" of property \"Tea\"\n",
        "~ rules of property \"Tea\" of organisation \"Shops\"\n    events.key_events: [] → [\"signup\"]\n",
        "+ member \"bo@shops.example\" of organisation \"Shops\"\n    name: \"Bo\"\n    role: \"editor\"\n",
        "dry run: 14 changes would be made\n",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(
        stdout(&system.run(&["property", "list", "--format", "json"])).is_empty(),
        "a dry run makes nothing"
    );
    let made = lines(&apply(system, &["--format", "json"], FILE));
    assert_eq!(made.last().unwrap(), &json!({ "event": "applied", "changes": 14 }));
    let secrets = events(&made, "secret").into_iter().map(|secret| {
        let of = format!("{} {}", secret["kind"].as_str().unwrap(), secret["name"].as_str().unwrap());
        (of, secret.clone())
    });
    secrets.collect()
}

fn secret<'a>(secrets: &'a BTreeMap<String, Value>, of: &str, field: &str) -> &'a str {
    secrets[of][field].as_str().unwrap_or_else(|| panic!("no {field} of {of} in {secrets:?}"))
}

#[test]
fn a_file_is_what_is_configured_here_and_elsewhere() {
    let exported = {
        let system = System::start(&Options::default());
        let secrets = first_apply(&system);
        let all: Vec<_> = secrets.keys().map(String::as_str).collect();
        let expected = [
            "key board",
            "key partner",
            "member ada@shops.example",
            "member bo@shops.example",
            "property Cups",
            "property Own site",
            "property Tea",
        ];
        assert_eq!(all, expected);
        check_secrets(&system, &secrets);
        assert_eq!(differences(&system, &[], FILE), [] as [Value; 0], "it is there now");
        assert_eq!(differences(&system, &["--prune"], &export(&system, &[])), [] as [Value; 0]);
        assert_eq!(
            differences(&system, &["--prune"], &export(&system, &["--format", "json"])),
            [] as [Value; 0]
        );
        check_members(&system, &secrets);
        check_refusals(&system);
        export(&system, &["--without-ids"])
    };
    assert!(!exported.contains("p_") && !exported.contains("o_"), "{exported}");
    let system = System::start(&Options::default());
    let output = apply(&system, &[], &exported);
    assert!(output.status.success(), "{}", sentence(&output));
    assert_eq!(export(&system, &["--without-ids"]), exported);
    assert_eq!(differences(&system, &["--prune"], &exported), [] as [Value; 0]);
    check_streams(&system, &exported);
}

/// A data stream that the file does not have is told, and ended with --prune; the one that came with the property is in no file.
fn check_streams(system: &System, exported: &str) {
    let without = |name: &str| {
        let is_other = |line: &&str| line.trim() != format!("- {name}");
        exported.lines().filter(is_other).map(|line| format!("{line}\n")).collect::<String>()
    };
    let fewer = without("Android app");
    assert_ne!(fewer, exported);
    assert_eq!(differences(system, &[], &fewer), [] as [Value; 0]);
    let said = stdout(&apply(system, &["--dry-run"], &fewer));
    assert!(said.contains("! data stream \"Android app\"") && said.contains(": not in the file"), "{said}");
    let pruned = differences(system, &["--prune"], &fewer);
    assert_eq!(
        (pruned.len(), &pruned[0]["kind"], &pruned[0]["action"]),
        (1, &json!("stream"), &json!("remove"))
    );
    assert!(apply(system, &["--prune"], &fewer).status.success());
    assert_eq!(export(system, &["--without-ids"]), fewer);
    let twice = exported.replace("- Android app", "- Till");
    refused(&apply(system, &[], &twice), &["streams[1]", "Till", "its own"]);
}

/// What the secrets open, and what the file said is what other commands show.
fn check_secrets(system: &System, secrets: &BTreeMap<String, Value>) {
    let tea = secret(secrets, "property Tea", "property_id");
    let shown = system.json(&["property", "show", "--property", tea, "--format", "json"]);
    assert_eq!(
        (&shown["time_zone"], &shown["currency"], &shown["hostnames"]),
        (&json!("Europe/Berlin"), &json!("EUR"), &json!(["tea.example", "www.tea.example"]))
    );
    let rules = stdout(&system.run(&["rule", "show", "--property", tea]));
    for line in [
        "session_timeout_s = 300\n",
        "key_events = [\"signup\"]\n",
        "scroll = true\n",
        "time_zone = \"Europe/Berlin\"\n",
    ] {
        assert!(rules.contains(line), "{rules}");
    }
    let aliases = stdout(&system.run(&["alias", "list", "--property", tea]));
    assert!(aliases.contains("plausible") && aliases.contains("matomo"), "{aliases}");
    assert!(secret(secrets, "property Tea", "api_secret").starts_with("sk_"));
    let report = ["report", "--property", tea, "--metrics", "page_views", "--key"];
    for of in ["property Tea", "key board", "key partner"] {
        let field = if of.starts_with("key") { "key" } else { "report_key" };
        let output = system.run(&[&report[..], &[secret(secrets, of, field)]].concat());
        assert!(output.status.success(), "{of}: {}", sentence(&output));
    }
    let cups = secret(secrets, "property Cups", "property_id");
    let output = system.run(&[
        "report",
        "--property",
        cups,
        "--metrics",
        "page_views",
        "--key",
        secret(secrets, "key partner", "key"),
    ]);
    assert_eq!(output.status.code(), Some(1), "the partner's key is for Tea");
}

/// An owner has its own organisation; an editor has no members and keys of it; who only reads changes nothing.
fn check_members(system: &System, secrets: &BTreeMap<String, Value>) {
    let owner = ["--key", secret(secrets, "member ada@shops.example", "key")];
    let editor = ["--key", secret(secrets, "member bo@shops.example", "key")];
    let mut all = export_json(system, &[]);
    let own = export_json(system, &owner);
    let shops = all["organisations"].as_array_mut().unwrap().pop().unwrap();
    assert_eq!(own, json!({ "organisations": [shops] }));
    assert_eq!(export_json(system, &["--organisation", shops["id"].as_str().unwrap()]), own);
    let without = config(system, &[&["export", "--format", "json"], &editor[..]].concat(), "");
    let told = sentence(&without);
    assert!(
        told.contains("members of \"Shops\" are left out") && told.contains("keys of \"Shops\""),
        "{told}"
    );
    let without: Value = serde_json::from_str(&stdout(&without)).unwrap();
    let fields: Vec<_> =
        without["organisations"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["id", "name", "properties"]);

    let change =
        "organisations: [{ name: Shops, properties: [{ name: Cups, currency: CHF }, { name: Tea }] }]";
    let made = apply(system, &[&["--format", "json"], &editor[..]].concat(), change);
    assert_eq!(events(&lines(&made), "change").len(), 1, "{}", stdout(&made));
    assert_eq!(differences(system, &owner, change), [] as [Value; 0]);
    refused(
        &apply(system, &editor, "organisations: [{ name: Shops, members: [] }]"),
        &["organisations[0].members", "owner"],
    );
    refused(
        &apply(system, &owner, "organisations: [{ name: Third }]"),
        &["organisations[0].name", "admin key"],
    );
    refused(&apply(system, &owner, "properties: [{ name: Mine }]"), &["properties", "admin key"]);

    let fewer = "organisations: [{ name: Shops, members: [{ email: ada@shops.example }] }]";
    let left = lines(&apply(system, &[&["--format", "json"], &owner[..]].concat(), fewer));
    assert_eq!(events(&left, "not_in_file")[0]["name"], "bo@shops.example", "{left:?}");
    let viewer = "organisations: [{ name: Shops, members: [{ email: ada@shops.example }, { email: bo@shops.example, role: viewer }] }]";
    assert!(apply(system, &owner, viewer).status.success());
    refused(
        &apply(
            system,
            &editor,
            "organisations: [{ name: Shops, properties: [{ name: Tea, currency: CHF }] }]",
        ),
        &["organisations[0].properties[0]", "editor or owner"],
    );
    assert!(apply(system, &[&["--prune"], &owner[..]].concat(), fewer).status.success());
    refused(&config(system, &[&["export"], &editor[..]].concat(), ""), &["key is not known"]);
}

/// A file with a mistake at its end changes nothing at its beginning.
fn check_refusals(system: &System) {
    let before = export(system, &[]);
    for (file, parts) in [
        (
            "organisations: [{ name: Shops, properties: [{ name: New }, { name: Tea, time_zone: Europe/Atlantis }] }]",
            &["organisations[0].properties[1].time_zone", "Europe/Atlantis"][..],
        ),
        (
            "properties: [{ name: New }, { name: Own site, hostname: [a.example] }]",
            &["properties[1]", "hostname", "hostnames"],
        ),
        (
            "organisations: [{ name: Shops, properties: [{ name: New }] }, { id: o_nobody }]",
            &["organisations[1].id", "o_nobody"],
        ),
        ("", &["nothing in it"]),
    ] {
        refused(&apply(system, &[], file), parts);
    }
    refused(&system.run(&["config", "apply", "-f", "/no/such/file.yaml"]), &["--file", "/no/such/file.yaml"]);
    let wrong = apply(system, &["--key", "mk_wrong"], FILE);
    refused(&wrong, &["key is not known"]);
    assert_eq!(export(system, &[]), before);
    // Two of one name are told apart by id alone.
    let twin = system.create_property(&["--name", "Own site"]);
    let own = "properties: [{ name: Own site, currency: EUR }]";
    refused(&apply(system, &[], own), &["properties[0].name", &twin.property_id, "give the id"]);
    refused(&config(system, &["export", "--without-ids"], ""), &["Own site", "--without-ids"]);
    let by_id = format!("properties: [{{ id: {}, name: Other site }}]", twin.property_id);
    let changed = lines(&apply(system, &["--format", "json"], &by_id));
    assert_eq!(
        events(&changed, "change")[0]["fields"],
        json!([{ "field": "name", "before": "Own site", "after": "Other site" }])
    );
    assert_eq!(events(&changed, "not_in_file")[0]["name"], "Own site", "{changed:?}");
}

/// A run that the api stops half-way leaves what it made, and the next goes on from there without making anything twice.
#[test]
fn a_run_goes_on_where_the_last_was_stopped() {
    let system = System::start(&Options::default());
    let other = system.create_property(&["--name", "Other"]);
    let claim =
        ["alias", "add", "--property", &other.property_id, "--protocol", "plausible", "--id", "n3.example"];
    assert!(system.run(&claim).status.success());
    let first = system.json(&[
        "org",
        "first-owner",
        "--organisation",
        "Shops",
        "--name",
        "Ada",
        "--email",
        "a@x.example",
        "--format",
        "json",
    ]);
    let owner = ["--key", first["key"].as_str().unwrap()];
    let property = |n: usize| {
        json!({ "name": format!("N{n}"), "rules": { "session_timeout_s": 60 + n },
            "aliases": [{ "protocol": "plausible", "id": format!("n{n}.example") }] })
    };
    let properties: Vec<_> = (0..120).map(property).collect();
    let keys = json!([{ "name": "all", "all_properties": true }]);
    let file =
        json!({ "organisations": [{ "name": "Shops", "properties": properties, "keys": keys }] }).to_string();

    let directory = new_directory();
    let path = directory.path().join("secrets.jsonl");
    let to_file = ["--secrets-to", path.to_str().unwrap()];
    // The owner cannot see whose alias it is; the api refuses it after properties and rules are made.
    let stopped = apply(&system, &[&to_file[..], &owner[..]].concat(), &file);
    refused(&stopped, &["organisations[0].properties[3].aliases[0]", "taken", "run the command again"]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let release = [
        "alias",
        "remove",
        "--property",
        &other.property_id,
        "--protocol",
        "plausible",
        "--id",
        "n3.example",
    ];
    assert!(system.run(&release).status.success());
    let left = differences(&system, &owner, &file);
    assert!(left.iter().all(|change| change["kind"] == "alias" || change["kind"] == "key"), "{left:?}");
    assert!(left.iter().any(|change| change["kind"] == "key"), "a later phase was not begun: {left:?}");
    let ended = apply(&system, &[&to_file[..], &owner[..]].concat(), &file);
    assert!(ended.status.success(), "{}", sentence(&ended));
    assert_eq!(differences(&system, &owner, &file), [] as [Value; 0]);
    let secrets = std::fs::read_to_string(&path).unwrap();
    let secrets: Vec<Value> = secrets.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| secrets.iter().filter(|secret| secret["kind"] == kind).count();
    assert_eq!((of("property"), of("key")), (120, 1), "each once, over both runs");
    assert!(
        !stdout(&stopped).contains("sk_") && !stdout(&ended).contains("rk_"),
        "they go to the file alone"
    );
    let listed = system.run(&["property", "list", "--format", "json", "--key", owner[1]]);
    assert_eq!(stdout(&listed).lines().count(), 120, "nothing is there twice");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let more = "organisations: [{ name: Shops, properties: [{ name: More }] }]";
    refused(&apply(&system, &[&to_file[..], &owner[..]].concat(), more), &["--secrets-to", "chmod 600"]);
    check_pruning(&system, &owner);
}

/// Keys that a list does not have go with --prune, also one that comes with a property of the same run.
fn check_pruning(system: &System, owner: &[&str]) {
    let file = "organisations: [{ name: Shops, properties: [{ name: More }], keys: [{ name: all, all_properties: true }] }]";
    let made = lines(&apply(system, &[&["--prune", "--format", "json"], owner].concat(), file));
    let removed = events(&made, "change").into_iter().filter(|change| change["action"] == "remove").count();
    assert_eq!(removed, 121, "the report key of each property");
    assert_eq!(events(&made, "not_in_file").len(), 120, "properties hold data and stay");
    let keys = system.run(&[&["key", "list", "--format", "json"], owner].concat());
    let left: Vec<Value> = stdout(&keys).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let report_keys: Vec<_> =
        left.iter().filter(|key| key["member_id"] == "").map(|key| &key["name"]).collect();
    assert_eq!(report_keys, ["all"]);
    assert_eq!(differences(system, &[&["--prune"], owner].concat(), file), [] as [Value; 0]);
}
