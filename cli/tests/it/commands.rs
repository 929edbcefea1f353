//! The commands as a person or a script uses them: help, answers, errors with the way out, exit codes, start and stop.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::{Property, last_line, meridian, sentence};
use crate::system::process::{Stopped, is_running, wait_for};
use crate::system::{Options, System, new_directory};

/// Exit code of a command that waited as long as it was asked to.
const TIMED_OUT: i32 = 3;
/// Exit code of clap for wrong usage.
const WRONG_USAGE: i32 = 2;

#[test]
fn every_command_explains_itself() {
    let commands: [&[&str]; 46] = [
        &[],
        &["dev"],
        &["property"],
        &["property", "create"],
        &["property", "list"],
        &["property", "set"],
        &["property", "rules"],
        &["property", "show"],
        &["property", "update"],
        &["property", "rotate-secret"],
        &["org"],
        &["org", "create"],
        &["org", "list"],
        &["org", "show"],
        &["org", "update"],
        &["org", "first-owner"],
        &["member"],
        &["member", "add"],
        &["member", "update"],
        &["member", "remove"],
        &["member", "list"],
        &["key"],
        &["key", "create"],
        &["key", "list"],
        &["key", "revoke"],
        &["key", "rotate"],
        &["audit"],
        &["usage"],
        &["config"],
        &["config", "export"],
        &["config", "apply"],
        &["config", "backup"],
        &["config", "restore"],
        &["rule"],
        &["rule", "show"],
        &["rule", "set"],
        &["rule", "history"],
        &["alias"],
        &["alias", "add"],
        &["alias", "remove"],
        &["alias", "list"],
        &["tail"],
        &["import"],
        &["import", "access-log"],
        &["report"],
        &["status"],
    ];
    for command in commands {
        let output = meridian(&[command, &["--help"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command:?} --help: {}", sentence(&output));
        assert!(text.contains("Usage: meridian"), "{command:?} --help: {text}");
    }
    let options = [("dev", "--processes"), ("dev", "--data"), ("report", "--filter"), ("status", "--wait")];
    for (command, option) in options {
        let output = meridian(&[command, "--help"]);
        assert!(String::from_utf8_lossy(&output.stdout).contains(option), "{command} --help lacks {option}");
    }
}

#[test]
fn errors_without_a_system_are_one_sentence() {
    let free = free_address();
    let url = format!("http://{free}");
    let cases: [(&str, i32, &[&str]); 17] = [
        ("report --property p_1 --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("property list --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("property rules --property p_1 --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("property set --property p_1 --file no.toml --key k", 1, &["--file", "no.toml"]),
        ("property list --grpc URL", 1, &["no key", "--key", "--data"]),
        ("status --admin URL", 1, &[&url, "--admin"]),
        ("config export --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("config apply -f no.yaml --key k --grpc URL", 1, &["--file", "no.yaml"]),
        ("rule history --property p_1 --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("alias list --key k --grpc URL", 1, &["nobody answers", &url, "--grpc"]),
        ("tail --property p_1 --admin URL", 1, &[&url, "--admin"]),
        ("tail --property shop --admin URL", 1, &["--property", "shop", "property list"]),
        ("status --wait --timeout 1 --admin URL", TIMED_OUT, &["gave up after 1 s"]),
        ("import access-log x.log --property p_1", 1, &["API secret of p_1", "--api-secret", "--data"]),
        ("import access-log x.log --property p_1 --api-secret s --measurement-id M-1", 1, &["x.log"]),
        ("dev --data /dev/null/data", 1, &["/dev/null/data", "--data"]),
        ("dev --edges 2 --hubs 2", 1, &["--processes", "--edges", "--hubs"]),
    ];
    for (line, code, parts) in cases {
        let line = line.replace("URL", &url);
        let arguments: Vec<&str> = line.split_whitespace().collect();
        assert_refused(&meridian(&arguments), code, parts, &arguments);
    }
    for line in ["reprot", "report", "status --format xml"] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(meridian(&arguments).status.code(), Some(WRONG_USAGE), "{line}");
    }
}

#[test]
fn commands_answer_and_refuse_in_plain_words() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Tea shop", "--time-zone", "Europe/Berlin"]);
    // A report right after creation: nothing was counted, nothing is wrong.
    assert_eq!(system.rows(&property, "--metrics page_views --dimensions date"), Vec::<Value>::new());
    let other = system.create_property(&["--data-region", "eu"]);
    check_properties(&system, &property);
    check_report_forms(&system, &property);
    check_refusals(&system, &property, &other);
    check_addresses_as_options(&system, &property);
    check_ports(&system);
}

/// Stopped and started again on the same data: the same reports, in one process and in many.
#[test]
fn second_start_carries_on_with_the_same_data() {
    let data = new_directory();
    let in_one = Options::default();
    let in_many = Options { processes: true, ..Options::default() };
    let (property, first) = {
        let mut system = System::start_in(data.path(), &in_one);
        let property = system.create_property(&[]);
        send_visit(&system, &property, "first");
        system.settle();
        let report = visits(&system, &property);
        assert_eq!(report, json!([{"page_path": "/first", "page_views": 2, "visitors": 1}]));
        assert_stops_cleanly(&mut system);
        (property, report)
    };
    let second = {
        let mut system = System::start_in(data.path(), &in_many);
        assert_eq!(visits(&system, &property), first, "the same after a restart");
        send_visit(&system, &property, "second");
        // Not waited for: what was acknowledged is still under way when the system is asked to stop.
        assert_stops_cleanly(&mut system);
        json!([
            {"page_path": "/first", "page_views": 2, "visitors": 1},
            {"page_path": "/second", "page_views": 2, "visitors": 1},
        ])
    };
    let system = System::start_in(data.path(), &in_one);
    let status = system.settle();
    assert_eq!(visits(&system, &property), second);
    assert_eq!(status["hits"]["acknowledged"], json!(4), "{status}");
    assert_eq!(status["hits"]["loaded"], json!(4), "{status}");
    check_usage(&system, &property);
    check_backup(&system);
}

/// Four hits of people, in one month or, at its end, in two.
fn check_usage(system: &System, property: &Property) {
    let output = system.run(&["usage", "--from", "yesterday", "--format", "json"]);
    assert!(output.status.success(), "{}", sentence(&output));
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["property_id"] == json!(property.property_id)), "{lines:?}");
    let sum = |name: &str| lines.iter().map(|line| line[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("hits"), sum("human")), (4, 4), "{lines:?}");
    let table = system.run(&["usage", "--from", "yesterday", "--property", &property.property_id]);
    assert!(String::from_utf8_lossy(&table.stdout).contains(&property.property_id), "{}", sentence(&table));
}

/// What is configured goes into a file, and into an empty store but no other. The property is its second version.
fn check_backup(system: &System) {
    let folder = new_directory();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, data) = (path("backup"), system.data().to_str().unwrap());
    let copied = meridian(&["config", "backup", "--to", &file, "--data", data, "--format", "json"]);
    assert_eq!(last_line(&copied), json!({ "versions": 2, "version": 2 }), "{}", sentence(&copied));
    let store = format!("file://{}", path("store"));
    let restored = meridian(&["config", "restore", "--from", &file, "--store", &store, "--format", "json"]);
    assert_eq!(last_line(&restored), json!({ "versions": 3, "version": 3 }), "{}", sentence(&restored));
    let again = ["config", "restore", "--from", &file, "--data", data];
    assert_refused(&meridian(&again), 1, &["version 2", "empty store"], &again);
}

#[test]
fn dead_service_is_restarted_and_said_so() {
    let system = System::start(&Options { processes: true, ..Options::default() });
    let hub = i32::try_from(system.ready()["pids"]["hub"].as_i64().unwrap()).unwrap();
    assert_eq!(system.children()["hub"], hub, "the ready line names the process");
    Stopped::stop(hub).unwrap().kill();
    let event = system.next_event(Duration::from_secs(60)).expect("an event");
    assert_eq!(event["event"], json!("restarted"), "{event}");
    assert_eq!(event["service"], json!("hub"), "{event}");
    assert_eq!(event["pid"].as_i64(), system.children().get("hub").map(|pid| i64::from(*pid)), "{event}");
}

#[test]
fn second_dev_on_the_same_data_is_refused_and_disturbs_nothing() {
    let system = System::start(&Options { processes: true, ..Options::default() });
    let configuration = || std::fs::read(system.data().join("config/api.toml")).unwrap();
    let before = configuration();
    let data = system.data().to_str().unwrap();
    let second = meridian(&["dev", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(sentence(&second).contains("choose another directory with --data"), "{}", sentence(&second));
    assert_eq!(configuration(), before, "the children would come back with ports nobody knows");
}

fn check_properties(system: &System, property: &Property) {
    assert!(property.property_id.starts_with("p_"), "{property:?}");
    assert!(property.measurement_id.starts_with("M-"), "{property:?}");
    assert!(!property.api_secret.is_empty() && !property.report_key.is_empty(), "{property:?}");
    let list = system.run(&["property", "list", "--format", "json"]);
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let listed: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 2, "{text}");
    let mine = listed.iter().find(|listed| listed["property_id"] == json!(property.property_id)).unwrap();
    assert_eq!(mine["measurement_id"], json!(property.measurement_id));
    assert_eq!(mine["name"], json!("Tea shop"));
    assert_eq!(mine["time_zone"], json!("Europe/Berlin"));
    let other = listed.iter().find(|listed| listed["property_id"] != json!(property.property_id)).unwrap();
    assert_eq!((&mine["data_region"], &other["data_region"]), (&json!(""), &json!("eu")));
    assert_eq!(mine["retention_days"], json!(0));
    let update = ["property", "update", "--property", &property.property_id, "--retention-days"];
    let kept = system.run(&[update.as_slice(), &["400"]].concat());
    assert!(String::from_utf8_lossy(&kept.stdout).contains("400 days"), "{}", sentence(&kept));
    let show = ["property", "show", "--property", &property.property_id, "--format", "json"];
    let shown: Value = serde_json::from_slice(&system.run(&show).stdout).unwrap();
    assert_eq!(shown["retention_days"], json!(400));
    for secret in [&property.api_secret, &property.report_key] {
        assert!(!text.contains(secret.as_str()), "a list shows no keys");
    }
    let table = system.run(&["property", "list"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("Tea shop"));
}

fn check_report_forms(system: &System, property: &Property) {
    send_visit(system, property, "forms");
    system.settle();
    let report = system.report(property, "--metrics page_views,visitors --dimensions page_path");
    assert_eq!(report["rows"], json!([{"page_path": "/forms", "page_views": 2, "visitors": 1}]));
    assert_eq!(report["row_count"], json!(1));
    assert_eq!(report["totals"], json!({"page_views": 2, "visitors": 1}));
    assert_eq!(report["time_zone"], json!("Europe/Berlin"));
    assert!(
        report["data_until"].as_str().is_some_and(|until| until.parse::<jiff::Timestamp>().is_ok()),
        "{report}"
    );
    let base = [
        "report",
        "--property",
        &property.property_id,
        "--metrics",
        "page_views",
        "--dimensions",
        "page_path",
    ];
    let csv = system.run(&[base.as_slice(), &["--format", "csv"]].concat());
    let csv = String::from_utf8_lossy(&csv.stdout).replace("\r\n", "\n");
    assert_eq!(csv, "page_path,page_views\n/forms,2\n");
    let table = system.run(&base);
    assert!(String::from_utf8_lossy(&table.stdout).contains("/forms"));
    let own_key = system.run(&[base.as_slice(), &["--key", &property.report_key]].concat());
    assert!(own_key.status.success(), "a report key reads its own property: {}", sentence(&own_key));
}

fn check_refusals(system: &System, property: &Property, other: &Property) {
    let id = property.property_id.as_str();
    let own = property.report_key.as_str();
    let foreign = other.report_key.as_str();
    let cases: [(&[&str], &[&str]); 13] = [
        (&["report", "--property", id, "--key", "rk_wrong"], &["key"]),
        (&["report", "--property", id, "--key", foreign], &[id]),
        (&["property", "list", "--key", own], &["key"]),
        (&["report", "--property", "p_doesnotexist"], &["p_doesnotexist"]),
        (&["report", "--property", id, "--metrics", "viewz"], &["viewz"]),
        (&["report", "--property", id, "--dimensions", "colour"], &["colour"]),
        (
            &["report", "--property", id, "--metrics", "page_views", "--dimensions", "exit_page"],
            &["page_views", "exit_page"],
        ),
        (&["report", "--property", id, "--from", "2025-02-30"], &["2025-02-30"]),
        (&["report", "--property", id, "--filter", "page_path ~ x"], &["~"]),
        (&["property", "create", "--time-zone", "Europe/Atlantis"], &["Europe/Atlantis"]),
        (&["property", "create", "--data-region", "EU"], &["data_region", "EU"]),
        (
            &["property", "update", "--property", id, "--retention-days", "3651"],
            &["retention_days", "3651", "3650"],
        ),
        (&["import", "access-log", "/no/such.log", "--property", id], &["/no/such.log"]),
    ];
    for (arguments, parts) in cases {
        assert_refused(&system.run(arguments), 1, parts, arguments);
    }
}

/// The options do what the environment variables do.
fn check_addresses_as_options(system: &System, property: &Property) {
    let data = system.data().to_str().unwrap();
    let grpc = system.address("grpc");
    let report =
        ["report", "--property", &property.property_id, "--grpc", grpc, "--data", data, "--format", "json"];
    let output = meridian(&report);
    assert!(output.status.success(), "{}", sentence(&output));
    assert!(last_line(&output)["rows"].is_array());
    let output = meridian(&["status", "--admin", system.address("admin"), "--format", "json"]);
    assert!(output.status.success(), "{}", sentence(&output));
    let status = last_line(&output);
    let services: Vec<&str> = status["services"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|service| service["service"].as_str())
        .collect();
    assert_eq!(services, ["api", "edge", "hub", "loader", "warehouse"], "{status}");
}

/// Health, readiness and metrics of the admin port; every counter that the accounting needs is there.
fn check_ports(system: &System) {
    for path in ["/healthz", "/readyz"] {
        let answer = system.get(&format!("{}{path}", system.address("admin"))).unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    let metrics = system.get(&format!("{}/metrics", system.address("admin"))).unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for name in ["edge_hits_in_total", "edge_hits_out_total", "edge_hits_queued"] {
        assert!(
            metrics.lines().any(|line| line.starts_with(name)),
            "{name} is not among the metrics:\n{metrics}"
        );
    }
}

/// Two page views of one visitor on one page.
fn send_visit(system: &System, property: &Property, page: &str) {
    let hit = |view: u8| {
        json!({"event": "page_view", "url": format!("https://shop.example/{page}"), "client_id": page,
        "id": format!("{page}-{view}")})
    };
    let body = json!({"measurement_id": property.measurement_id, "hits": [hit(1), hit(2)]});
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
    let (status, answer) = system.collect(&body, &[("user-agent", agent)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}

/// Since yesterday: the test may run at midnight.
fn visits(system: &System, property: &Property) -> Value {
    let options =
        "--from yesterday --metrics page_views,visitors --dimensions page_path --order-by page_path";
    Value::Array(system.rows(property, options))
}

/// SIGTERM ends it with exit code 0, and nothing that it started is left.
fn assert_stops_cleanly(system: &mut System) {
    let children = system.children();
    assert!(children.contains_key("warehouse"), "the engine is always a child: {children:?}");
    let status = system.stop();
    assert_eq!(status.code(), Some(0), "exit code after SIGTERM");
    for (name, pid) in children {
        let gone = wait_for(Duration::from_secs(10), || (!is_running(pid)).then_some(()));
        assert!(gone.is_some(), "{name} ({pid}) outlived the system");
    }
}

/// One line on stderr that names what it must, and nothing on stdout.
fn assert_refused(output: &Output, code: i32, parts: &[&str], arguments: &[&str]) {
    let said = sentence(output);
    let command = arguments.join(" ");
    assert_eq!(output.status.code(), Some(code), "meridian {command}: {said}");
    assert!(said.starts_with("meridian: ") && said.lines().count() == 1, "meridian {command}: {said:?}");
    for part in parts {
        assert!(said.contains(part), "meridian {command} does not name {part:?}: {said}");
    }
    assert!(
        output.stdout.is_empty(),
        "meridian {command} printed {:?}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// An address nobody listens on: it was free a moment ago, and is of no range that others pick from.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
