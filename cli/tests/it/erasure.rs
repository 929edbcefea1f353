//! Erasures from the command line to the warehouse's tables: a visitor, a property, what is past its retention; and nothing else.
//!
//! What is there is asked of the warehouse itself, table by table, in SQL of this test's own.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::{Property, sentence};
use crate::system::process::wait_for;
use crate::system::{Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

/// Every durable step of an erasure.
pub(crate) const POINTS: [&str; 7] = [
    "loader.erase.part.before",
    "loader.erase.part.after",
    "loader.erase.rows.before",
    "loader.erase.rows.after",
    "loader.erase.hours.before",
    "loader.erase.hours.deleted",
    "loader.erase.hours.after",
];

/// The answer of the warehouse, row by row.
fn sql(system: &System, query: &str) -> Vec<String> {
    let listen = system.configuration("warehouse")["listen"].as_str().unwrap().to_owned();
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let answer = system.get(&format!("http://{listen}/?database=meridian&query={query}")).unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, StatusCode::OK, "{text}");
    text.lines().map(str::to_owned).collect()
}

/// Rows of a property in every table that has a property.
fn rows_of(system: &System, property: &Property) -> Vec<(String, u64)> {
    let tables = "SELECT DISTINCT table FROM system.columns WHERE database = 'meridian' AND name = 'property' \
                  AND table IN (SELECT name FROM system.tables WHERE engine LIKE '%MergeTree%') ORDER BY table FORMAT TSV";
    let count = |table: String| {
        let of =
            format!("SELECT count() FROM {table} WHERE property = '{}' FORMAT TSV", property.property_id);
        let rows = sql(system, &of)[0].parse().unwrap();
        (table, rows)
    };
    sql(system, tables).into_iter().map(count).collect()
}

/// `page visitors`, of the minute table and of an hourly one.
fn visitors_of(system: &System, property: &Property) -> Vec<String> {
    let minutes = "SELECT page_path, arraySort(groupUniqArrayArray(visitors)) FROM hit_rollup";
    let hours = "SELECT page_path, uniqCombined64Merge(14)(visitors) FROM hit_hourly";
    let of = |select: &str| {
        let of = format!(
            "{select} WHERE property = '{}' GROUP BY page_path ORDER BY page_path FORMAT TSV",
            property.property_id
        );
        sql(system, &of)
    };
    [of(minutes), of(hours)].concat()
}

fn send(system: &System, property: &Property, who: &str, at: &str) -> StatusCode {
    let hit = json!({
        "url": format!("https://shop.example/{who}"), "client_id": who, "timestamp": at, "user_agent": HUMAN, "ip": "192.0.2.7",
    });
    let body = json!({"measurement_id": property.measurement_id, "hits": [hit]});
    system.collect(&body, &[("x-meridian-secret", &property.api_secret)]).0
}

/// Waits until the rows of a job are gone.
fn carried_out(system: &System, job: &str) -> Value {
    let shown =
        system.json(&["erase", "show", "--job", job, "--wait", "--timeout", "120", "--format", "json"]);
    let steps = shown["steps"].as_array().unwrap();
    // Hours that are built again have as many rows as before.
    let is_rebuilt = |step: &Value| step["what"].as_str().unwrap().starts_with("rebuild");
    let is_gone = |step: &Value| {
        let left = if is_rebuilt(step) { &step["rows_before"] } else { &json!(0) };
        step["rows_after"] == *left
    };
    assert!(!steps.is_empty() && steps.iter().all(is_gone), "{shown}");
    shown
}

fn started(system: &System, arguments: &[&str]) -> String {
    let answer = system.json(&[arguments, &["--format", "json"]].concat());
    answer["job"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn a_visitor_and_a_property_go_and_nothing_else() {
    let system = System::start(&Options { processes: true, ..Options::default() });
    let [shop, other] = [0, 1].map(|_| system.create_property(&[]));
    let now = jiff::Timestamp::now().to_string();
    for (property, who) in [(&shop, "ada"), (&shop, "bob"), (&other, "ada")] {
        assert_eq!(send(&system, property, who, &now), StatusCode::NO_CONTENT);
    }
    system.settle();
    let [before, others] = [&shop, &other].map(|property| visitors_of(&system, property));
    let [.., ada, bob] = before.as_slice() else { panic!("{before:?}") };
    assert_eq!([ada.as_str(), bob], ["/ada\t1", "/bob\t1"]);

    let shop_id = shop.property_id.as_str();
    let job = started(&system, &["erase", "visitor", "--property", shop_id, "--client-id", "ada"]);
    let shown = carried_out(&system, &job);
    assert_eq!((&shown["kind"], &shown["count"]), (&json!("visitors"), &json!(1)), "{shown}");
    assert_ne!(shown["state"], json!("done"), "batches as edges sent them are there for some days");
    let expected = ["/ada\t[]".to_owned(), before[1].clone(), "/ada\t0".to_owned(), "/bob\t1".to_owned()];
    assert_eq!(visitors_of(&system, &shop), expected);
    assert_eq!(visitors_of(&system, &other), others);
    let days = "--from yesterday --to today --metrics";
    let report = system.rows(&shop, &format!("{days} page_views,visitors"));
    assert_eq!(report, [json!({"page_views": 2, "visitors": 1})], "what was counted stays, without her");
    let listed = system.json(&["erase", "list", "--property", shop_id, "--format", "json"]);
    assert_eq!(listed["job"], json!(job));

    let refused = system.run(&["property", "delete", "--property", shop_id]);
    let said = sentence(&refused);
    assert!(
        refused.status.code() == Some(1) && said.contains("--yes") && said.contains("1 data streams"),
        "{said}"
    );
    let others_rows = rows_of(&system, &other);
    let job = started(&system, &["property", "delete", "--property", shop_id, "--yes"]);
    assert_eq!(send(&system, &shop, "eve", &now), StatusCode::NOT_FOUND, "in force when it is answered");
    carried_out(&system, &job);
    let left = rows_of(&system, &shop);
    assert!(left.len() > 8 && left.iter().all(|(_, rows)| *rows == 0), "{left:?}");
    assert_eq!(rows_of(&system, &other), others_rows);
    assert_eq!(visitors_of(&system, &other), others);
    let report = ["report", "--property", shop_id, "--metrics", "page_views"];
    assert!(sentence(&system.run(&report)).contains("does not exist"));
    let status = system.settle();
    assert_eq!(status["pending"], 0, "{status}");
}

#[test]
fn a_death_at_any_step_of_an_erasure_leaves_no_id_and_loses_no_count() {
    let system = System::start(&Options { processes: true, fail_points: true, ..Options::default() });
    // An erasure is looked for at once.
    system.configure("loader", |table| {
        let erase = toml::Table::from_iter([("list_interval_ms".to_owned(), toml::Value::Integer(200))]);
        table.insert("erase".to_owned(), toml::Value::Table(erase));
    });
    system.restart_gracefully("loader");
    let now = jiff::Timestamp::now().to_string();
    for point in POINTS {
        eprintln!("loader dies at {point}");
        let property = system.create_property(&[]);
        for who in ["ada", "bob"] {
            assert_eq!(send(&system, &property, who, &now), StatusCode::NO_CONTENT);
        }
        system.settle();
        let [_, bob, ..] = visitors_of(&system, &property).try_into().map(|rows: [String; 4]| rows).unwrap();
        let file = |state: &str| system.data().join(format!("{point}.{state}"));
        let pid = system.children()["loader"];
        std::fs::write(file("armed"), "").unwrap();
        let id = property.property_id.as_str();
        let job = started(&system, &["erase", "visitor", "--property", id, "--client-id", "ada"]);
        let fired = wait_for(Duration::from_secs(60), || file("fired").exists().then_some(()));
        assert!(fired.is_some(), "nobody passed {point}");
        system.wait_until_ready_again("loader", pid);
        carried_out(&system, &job);
        let expected = ["/ada\t[]".to_owned(), bob, "/ada\t0".to_owned(), "/bob\t1".to_owned()];
        assert_eq!(visitors_of(&system, &property), expected, "after {point}");
        let days = "--from yesterday --to today --metrics";
        let counted = system.rows(&property, &format!("{days} page_views,visitors"));
        assert_eq!(counted, [json!({"page_views": 2, "visitors": 1})], "after {point}");
    }
}

#[test]
fn what_is_past_its_retention_goes_by_date() {
    let system = System::start(&Options { processes: true, ..Options::default() });
    let (kept, forgetful) =
        (system.create_property(&[]), system.create_property(&["--retention-days", "30"]));
    let days_ago =
        |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
    for property in [&kept, &forgetful] {
        for (who, days) in [("older", 60), ("old", 40), ("new", 20), ("today", 0)] {
            assert_eq!(send(&system, property, who, &days_ago(days)), StatusCode::NO_CONTENT);
        }
    }
    system.settle();
    let pages = |property: &Property| -> Vec<String> {
        let of = "SELECT DISTINCT page_path FROM hit_hourly WHERE property = '";
        sql(&system, &format!("{of}{}' ORDER BY page_path FORMAT TSV", property.property_id))
    };
    let everything = ["/new", "/old", "/older", "/today"];
    assert_eq!([pages(&kept), pages(&forgetful)], [everything, everything]);
    let retention = |options: &[&str]| -> Vec<Value> {
        let output = system.run(&[&["erase", "retention", "--format", "json"], options].concat());
        assert!(output.status.success(), "{}", sentence(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // The daily look may have come first: then its job does the same.
    let first = retention(&["--dry-run"]);
    let date = |days: i64| days_ago(days)[..10].to_owned();
    if let [past, summary] = first.as_slice() {
        assert_eq!((&past["property_id"], &past["first"]), (&json!(forgetful.property_id), &json!(date(60))));
        assert_eq!((&past["before"], &summary["jobs"]), (&json!(date(30)), &json!([])));
        assert_eq!(pages(&forgetful), everything, "a dry run");
        let asked = retention(&[]);
        carried_out(&system, asked.last().unwrap()["jobs"][0].as_str().unwrap());
    }
    let gone = || (pages(&forgetful) == ["/new", "/today"]).then_some(());
    assert!(wait_for(Duration::from_secs(120), gone).is_some(), "{:?}", pages(&forgetful));
    assert_eq!(pages(&kept), everything);
}
