//! A property's rules are set by a file: they act on hits and scripts that come after, and can be read back.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::{Property, meridian, sentence};
use crate::system::process::wait_for;
use crate::system::{Options, System, new_directory};

const RULES: &str = "session_timeout_s = 300\n[tracker]\nscroll = true\n";

#[test]
fn rules_of_a_file_act_on_what_comes_after_and_are_read_back() {
    let system = System::start(&Options::default());
    let property = system.create_property(&[]);
    visit(&system, &property, "before");
    let expected = json!([
        {"field": "session_timeout_s", "old": 1800, "new": 300},
        {"field": "tracker.scroll", "old": false, "new": true},
    ]);
    let dry = system.set_rules(&property, RULES, &["--dry-run"]);
    assert_eq!((&dry["changes"], &dry["version"], &dry["dry_run"]), (&expected, &json!(2), &json!(true)));
    assert!(shown(&system, &property, &[]).contains("version 1 of its rules, which is in force"));
    let set = system.set_rules(&property, RULES, &[]);
    assert_eq!((&set["changes"], &set["version"], &set["dry_run"]), (&expected, &json!(2), &json!(false)));

    // Rules and script come from one file: when the script has the setting, the edge has the rules.
    let script = wait_for(Duration::from_secs(60), || script_with(&system, &property, "\"scroll\":true"));
    assert!(script.is_some(), "the script does not get the property's settings");
    visit(&system, &property, "after");
    system.settle();
    let sessions = system.rows(
        &property,
        "--from 2025-03-10 --to 2025-03-10 --dimensions source --metrics sessions --order-by source",
    );
    assert_eq!(
        sessions,
        [json!({"source": "after", "sessions": 2}), json!({"source": "before", "sessions": 1})]
    );

    check_reading_back(&system, &property);
    check_refusals(&system, &property);
    check_history(&system);
}

const MEANING: &str = r#"
    [urls]
    keep_parameters = ["q"]
    trailing_slash = "strip"
    hostnames = ["shop.example"]
    [[urls.groups]]
    pattern = "/product/*"
    name = "Products"
    [traffic]
    internal_networks = ["192.0.2.0/24"]
    [events]
    key_events = ["signup"]
    key_pages = ["/product/green"]
    [[events.custom]]
    slot = 2
    parameter = "plan"
    [[events.custom_metrics]]
    slot = 3
    parameter = "seats"
    [[events.custom]]
    slot = 3
    parameter = "size"
    scope = "item"
    [[channels]]
    name = "Letters"
    source = ["letter-*"]
    [tracker]
    scroll = true
"#;

/// What hits are told to be by the rules: pages, hosts, networks, key events, dimensions, channels.
#[test]
fn rules_say_what_hits_mean() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--currency", "JPY"]);
    system.set_rules(&property, MEANING, &[]);
    let script = wait_for(Duration::from_secs(60), || script_with(&system, &property, "\"scroll\":true"));
    assert!(script.is_some(), "the edge does not get the rules");
    let hit = |event: &str, url: &str, ip: &str, params: Value| {
        json!({
            "event": event, "url": url, "timestamp": "2025-03-10T10:00:00Z", "client_id": ip, "ip": ip, "params": params,
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
        })
    };
    let mut hits = [
        hit(
            "page_view",
            "https://www.shop.example/find/?q=tea&x=1&utm_source=letter-7",
            "198.51.100.7",
            json!({}),
        ),
        hit("page_view", "https://shop.example/product/green", "198.51.100.7", json!({})),
        hit(
            "signup",
            "https://shop.example/product/black/",
            "198.51.100.7",
            json!({"plan": "pro", "seats": 12}),
        ),
        hit("purchase", "https://shop.example/cart", "198.51.100.7", json!({"value": 500, "seats": "0.5"})),
        hit("page_view", "https://shop.example/", "192.0.2.7", json!({})),
        hit("page_view", "https://copy.example/", "198.51.100.7", json!({})),
    ];
    hits[2]["params"]["size"] = json!("of the event");
    hits[3]["items"] =
        json!([{"item_id": "SKU-1", "price": 125, "quantity": 4, "size": "L"}, {"item_name": "Gift"}]);
    let body = json!({"measurement_id": property.measurement_id, "hits": hits});
    let (status, answer) = system.collect(&body, &[("x-meridian-secret", &property.api_secret)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let status = system.settle();
    assert_eq!(status["hits"]["dropped"]["foreign_hostname"], 1, "{status}");
    let day = "--from 2025-03-10 --to 2025-03-10";
    let by_page = "--dimensions page_path,custom_2,channel --metrics events,key_events --order-by page_path";
    let row = |page: &str, custom: &str, key_events: u64| json!({"page_path": page, "custom_2": custom, "channel": "Letters", "events": 1, "key_events": key_events});
    assert_eq!(
        system.rows(&property, &format!("{day} {by_page}")),
        [row("/cart", "", 1), row("/find?q=tea", "", 0), row("Products", "", 1), row("Products", "pro", 1)]
    );
    let money = "--metrics revenue --dimensions currency --filter currency!=''";
    let money = system.rows(&property, &format!("{day} {money}"));
    assert_eq!(money, [json!({"currency": "JPY", "revenue": 500.0})]);
    let seats =
        "--metrics custom_metric_3,custom_metric_1 --dimensions event_name --filter event_name!=page_view";
    let row = |event: &str, seats: f64| json!({"event_name": event, "custom_metric_3": seats, "custom_metric_1": 0.0});
    let seats = system.rows(&property, &format!("{day} {seats}"));
    assert_eq!(seats, [row("signup", 12.0), row("purchase", 0.5)]);
    // The client has an id and says nothing of its first visit; the edge has not seen it before.
    let types = "--metrics sessions,visitors --dimensions visitor_type";
    let types = system.rows(&property, &format!("{day} {types}"));
    assert_eq!(types, [json!({"visitor_type": "new_to_edge", "sessions": 1, "visitors": 1})]);
    check_items(&system, &property, day);
    let classes = "--metrics events --dimensions traffic_class,traffic_reason --order-by traffic_class";
    let class = |class: &str, reason: &str, events: u64| json!({"traffic_class": class, "traffic_reason": reason, "events": events});
    assert_eq!(
        system.rows(&property, &format!("{day} {classes}")),
        [class("human", "", 4), class("internal", "internal_network", 1)]
    );
}

/// A slot of items is that of items alone.
fn check_items(system: &System, property: &Property, day: &str) {
    let items = "--metrics items_purchased,item_revenue --dimensions item_id,item_name,custom_3,currency";
    let item = |id: &str, name: &str, size: &str, count: u64, revenue: f64| {
        json!({
            "item_id": id, "item_name": name, "custom_3": size, "currency": "JPY", "items_purchased": count,
            "item_revenue": revenue,
        })
    };
    assert_eq!(
        system.rows(property, &format!("{day} {items}")),
        [item("SKU-1", "", "L", 4, 500.0), item("", "Gift", "", 1, 0.0)]
    );
    let hits = system.rows(property, &format!("{day} --metrics events --dimensions custom_3"));
    assert_eq!(hits, [json!({"custom_3": "", "events": 4})]);
}

fn check_reading_back(system: &System, property: &Property) {
    let text = shown(system, property, &[]);
    assert!(text.contains("session_timeout_s = 300\n") && text.contains("scroll = true\n"), "{text}");
    let again = system.set_rules(property, &text, &[]);
    assert_eq!((&again["changes"], &again["version"]), (&json!([]), &json!(2)));
    let first = shown(system, property, &["--version", "1"]);
    assert!(
        first.contains("session_timeout_s = 1800\n") && first.contains("version 2 is in force"),
        "{first}"
    );
}

/// The versions, as who may read the audit sees them and who may not.
fn check_history(system: &System) {
    let owner = system.json(&[
        "org",
        "first-owner",
        "--organisation",
        "O",
        "--name",
        "Ada",
        "--email",
        "a@x.example",
    ]);
    let key = owner["key"].as_str().unwrap();
    let member =
        ["member", "add", "--name", "Bo", "--email", "b@x.example", "--role", "editor", "--key", key];
    let editor = system.json(&member)["key"].as_str().unwrap().to_owned();
    let created = system.json(&["property", "create", "--key", key]);
    let property = created["property_id"].as_str().unwrap();
    let set = ["rule", "set", "--property", property, "-f", "-", "--key", &editor];
    assert!(system.run_with_input(&set, RULES.as_bytes()).status.success());
    let update = ["property", "update", "--property", property, "--currency", "EUR", "--key", key];
    assert!(system.run(&update).status.success());

    let history = |key: &str| {
        let output =
            system.run(&["rule", "history", "--property", property, "--format", "json", "--key", key]);
        assert!(output.status.success(), "{}", sentence(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let changes =
        |history: &[Value]| history.iter().map(|version| version["changes"].clone()).collect::<Vec<_>>();
    let timeout = json!([{"field": "session_timeout_s", "old": 1800, "new": 300}]);
    let currency = json!([{"field": "currency", "old": "USD", "new": "EUR"}]);
    let seen = history(key);
    assert_eq!(changes(&seen), [currency, timeout.clone(), json!([])]);
    let versions: Vec<_> = seen.iter().map(|version| version["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [3, 2, 1]);
    let by = |member: &Value| json!(format!("member {}", member["member_id"].as_str().unwrap()));
    assert_eq!((&seen[0]["who"], &seen[2]["who"]), (&by(&owner), &by(&owner)));
    assert!(seen.iter().all(|version| version["changed_at"].as_str().unwrap().ends_with('Z')), "{seen:?}");
    let seen = history(&editor);
    assert_eq!(changes(&seen), [json!([]), timeout, json!([])], "the audit is the owner's");
    assert!(seen.iter().all(|version| version["changed_at"] == ""), "{seen:?}");
    let last = system.run(&["rule", "history", "--property", property, "--limit", "1", "--key", key]);
    let last = String::from_utf8_lossy(&last.stdout).into_owned();
    assert!(last.contains("currency") && !last.contains("session_timeout_s"), "{last}");
    let rules = |command: [&str; 2]| {
        let output = system.run(&[&command[..], &["--property", property, "--key", key]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(rules(["rule", "show"]), rules(["property", "rules"]));
}

fn check_refusals(system: &System, property: &Property) {
    let id = property.property_id.as_str();
    let directory = new_directory();
    let file = directory.path().join("rules.toml");
    let file = file.to_str().unwrap();
    for (text, parts) in [
        ("[session]\nengaged_after = 5\n", ["line 2 of the rules file", "engaged_after_s"]),
        ("session_timeout_s = 0\n", ["session_timeout_s is \"0\"", "between 1 and 86400"]),
    ] {
        std::fs::write(file, text).unwrap();
        let refused = system.run(&["property", "set", "--property", id, "--file", file]);
        let said = sentence(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.lines().count() == 1 && parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let api = ["--grpc", system.address("grpc"), "--key", &property.report_key];
    let refused = meridian(&[&["property", "set", "--property", id, "--file", file], &api[..]].concat());
    assert!(sentence(&refused).contains("admin key"), "{}", sentence(&refused));
    let refused = system.run(&["property", "rules", "--property", id, "--version", "9"]);
    assert!(sentence(&refused).contains("its versions are 1 to 2"), "{}", sentence(&refused));
}

/// What `property rules` prints.
fn shown(system: &System, property: &Property, options: &[&str]) -> String {
    let arguments = ["property", "rules", "--property", property.property_id.as_str()];
    let output = system.run(&[&arguments, options].concat());
    assert!(output.status.success(), "{}", sentence(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The property's script, once it holds this.
pub(crate) fn script_with(system: &System, property: &Property, part: &str) -> Option<String> {
    let url = format!("{}/t/{}.js", system.address("collect"), property.measurement_id);
    let answer = system.get(&url).ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    (answer.status == StatusCode::OK && text.contains(part)).then_some(text)
}

/// Two page views of one visitor, ten minutes apart, from one source.
fn visit(system: &System, property: &Property, source: &str) {
    let hit = |at: &str| {
        json!({
            "event": "page_view", "url": format!("https://shop.example/?utm_source={source}&utm_medium=email"),
            "timestamp": at, "client_id": source, "ip": "192.0.2.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
        })
    };
    let hits: Vec<Value> = ["2025-03-10T10:00:00Z", "2025-03-10T10:10:00Z"].map(hit).into();
    let body = json!({"measurement_id": property.measurement_id, "hits": hits});
    let (status, answer) = system.collect(&body, &[("x-meridian-secret", &property.api_secret)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}
