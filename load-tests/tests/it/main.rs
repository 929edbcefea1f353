//! The generator against servers that the tests start.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy's exemption for tests does not reach helper functions

mod server;

use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use serde_json::Value;

use server::{Behaviour, Server};

/// Runs the binary against a server; gives its output and its JSON.
fn run(server: &Server, scenario: &str, more: &[&str]) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (file, json) = (folder.path().join("scenario.toml"), folder.path().join("out.json"));
    std::fs::write(&file, scenario).unwrap();
    let properties = folder.path().join("properties");
    let lines = (0..20)
        .map(|number| format!("{{\"property_id\":\"p_{number}\",\"measurement_id\":\"M-{number}\"}}\n"));
    std::fs::write(&properties, lines.collect::<String>()).unwrap();
    let (html, log) = (folder.path().join("out.html"), folder.path().join("out.hlog"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_meridian-load"));
    command
        .arg("run")
        .arg(&file)
        .args(["--collect", &server.url(), "--seed", "5"])
        .arg("--properties")
        .arg(&properties)
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .args(more);
    // A search for the peak has no log: its trials are runs of their own.
    if !more.contains(&"--find-peak") {
        command.arg("--hdr-log").arg(&log);
    }
    let output = command.output().unwrap();
    let result = std::fs::read(&json).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    if let Ok(log) = std::fs::read_to_string(log) {
        assert!(log.contains("#[StartTime: ") && log.contains(",HISTFAAAA"), "{log}");
    }
    if let Ok(page) = std::fs::read_to_string(html) {
        let title = if more.contains(&"--find-peak") { "<h1>Peak: " } else { "<h1>Load test" };
        assert!(page.contains(title) && page.contains("<svg") && page.ends_with("</html>"), "{page}");
    }
    (output, result)
}

fn scenario(rate: u32, seconds: u32, connections: &str) -> String {
    format!(
        "[load]\nphases = [{{ seconds = {seconds}, hits_per_second = {rate} }}]\n[connections]\n{connections}\n\
         [traffic]\nproperties = 20\npages = 100\nuser_agents = 50"
    )
}

#[test]
fn everything_due_is_sent_answered_and_counted_over_both_protocols() {
    for (http, count, precise) in [(1, 8, false), (2, 2, false), (1, 8, true)] {
        let server = Server::start(Behaviour::default());
        let connections =
            format!("http = {http}\ncount = {count}\nprecise = {precise}\nhits_per_request = 5");
        let (output, result) = run(&server, &scenario(2_000, 2, &connections), &[]);
        assert!(output.status.success(), "{output:?}");
        let seen = server.requests.load(Ordering::SeqCst);
        assert_eq!(result["requests_due"], seen);
        assert_eq!(result["requests_acknowledged"], seen);
        assert_eq!(result["hits_acknowledged"], server.hits.load(Ordering::SeqCst));
        // 2 s of 400 requests/s, as a Poisson process: 800 ± 6 standard deviations.
        assert!((630..=970).contains(&seen), "{seen}");
    }
}

/// A server that stands still for 1.5 of 3 s: requests that come due at random wait 0 to 1.5 s, so a quarter of all
/// waits more than 0.75 s. A generator that waits for answers would see one slow request per connection.
#[test]
fn a_pause_of_the_server_is_charged_to_all_that_came_due_meanwhile() {
    let server = Server::start(Behaviour { pause_ms: 1_500, ..Behaviour::default() });
    let (output, result) = run(&server, &scenario(500, 3, "count = 4"), &[]);
    assert!(output.status.success(), "{output:?}");
    let p90 = result["latency_ms"]["p90"].as_f64().unwrap();
    assert!(p90 > 750.0, "p90 is {p90} ms");
}

#[test]
fn refused_requests_are_counted_and_not_sent_again() {
    let server = Server::start(Behaviour { refuse_one_in: 3, ..Behaviour::default() });
    let (output, result) = run(&server, &scenario(300, 1, "count = 2"), &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(result["refused"], server.refused.load(Ordering::SeqCst));
    assert_eq!(
        result["requests_due"].as_u64().unwrap(),
        result["refused"].as_u64().unwrap() + result["requests_acknowledged"].as_u64().unwrap()
    );
}

#[test]
fn a_hit_that_is_wrong_ends_the_run_and_is_shown() {
    let server = Server::start(Behaviour { answer: 400, ..Behaviour::default() });
    let (output, _) = run(&server, &scenario(100, 1, "count = 2"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("answered 400 Bad Request to {\"measurement_id\""), "{errors}");
}

#[test]
fn the_peak_of_a_server_that_refuses_beyond_a_rate_is_found() {
    let server = Server::start(Behaviour { most_per_second: 400, ..Behaviour::default() });
    let more = ["--find-peak", "--probe-s", "1", "--p99-ms", "10000"];
    let (output, result) = run(&server, &scenario(100, 1, "count = 8"), &more);
    assert!(output.status.success(), "{output:?}");
    let peak = result["peak_hits_per_second"].as_f64().unwrap();
    assert!((200.0..=400.0).contains(&peak), "{peak}");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let server = Server::start(Behaviour::default());
    for (scenario, more, part) in [
        ("[traffic]\nbots = 2", &[][..], "traffic.bots is 2; it must lie between 0 and 1"),
        ("[traffic]\nproperties = 21", &[], "holds 20 properties and the scenario visits 21"),
        ("", &["--verify", "--seed", "1"], "the argument '--seed <N>' cannot be used multiple times"),
        ("[traffic]\nproperties = 20", &["--verify"], "no key: --verify reads reports; give --key"),
    ] {
        let (output, _) = run(&server, scenario, more);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(part), "{scenario}: {errors}");
    }
}
