//! An access log goes through the running system, and its reports say what the oracle says.
//!
//! `sample.log` was written for this test; `MERIDIAN_ACCESS_LOG` names a log of a real site. The oracle is asked once
//! more with each of three mistakes, to show that the comparison notices them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Map, Value, json};

use crate::oracle::{self, Mistake};
use crate::system::command::{Property, last_line, sentence};
use crate::system::{self, Options, System};

/// Reasons that the oracle always names and the import only if there were such lines.
const SKIP_REASONS: [&str; 3] = ["method", "status", "asset"];

/// Far more lines than a test's log has.
const ALL_ROWS: u32 = 100_000;

#[test]
fn reports_on_the_sample_log_equal_the_oracle() {
    let log = system::project("tests/access-log/sample.log");
    check_log(&log, Mistake::GapMinutes(29));
}

#[test]
fn reports_on_the_log_of_the_environment_equal_the_oracle() {
    let Some(log) = std::env::var_os("MERIDIAN_ACCESS_LOG").map(PathBuf::from) else {
        return; // `.ci/run` sets it; the sample log is checked in any case.
    };
    assert!(log.is_file(), "MERIDIAN_ACCESS_LOG = {} is not there; correct or unset it", log.display());
    // In the log that continuous integration uses nobody pauses for 29 to 30 minutes.
    check_log(&log, Mistake::GapMinutes(60));
}

#[test]
fn import_reads_gzip_and_standard_input() {
    let lines = small_log();
    let system = System::start(&Options::default());
    let file = system.data().join("small.log.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(lines.as_bytes()).unwrap();
    let zipped = gzip.finish().unwrap();
    std::fs::write(&file, &zipped).unwrap();

    let inputs: [(&str, &[u8]); 3] =
        [(file.to_str().unwrap(), &[]), ("-", lines.as_bytes()), ("-", zipped.as_slice())];
    let properties = inputs.map(|(name, input)| {
        let property = system.create_property(&[]);
        let output = system.import(&property, name, input);
        let summary = summary_of(&output);
        assert_eq!(summary["lines"], json!(4), "{name}");
        assert_eq!(summary["malformed"], json!(1), "{name}");
        assert_eq!(summary["acknowledged"], json!(2), "{name}");
        assert!(sentence(&output).contains("line 3"), "the broken line is shown: {}", sentence(&output));
        property
    });
    system.settle();
    for property in properties {
        let rows = system
            .rows(&property, "--from 2025-03-10 --to 2025-03-10 --metrics page_views --dimensions page_path");
        let one_view = |page: &str| json!({"page_path": page, "page_views": 1});
        assert_eq!(rows, [one_view("/"), one_view("/tea")]);
    }
}

fn small_log() -> String {
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
    let line = |minute: u8, path: &str| {
        let time = format!("10/Mar/2025:09:{minute:02}:00 +0000");
        format!("192.0.2.7 - - [{time}] \"GET {path} HTTP/1.1\" 200 512 \"-\" \"{agent}\"\n")
    };
    [&line(0, "/"), &line(1, "/tea.css"), "broken\n", &line(2, "/tea")].concat()
}

/// Imports the log, compares, makes the mistakes, imports it again.
fn check_log(log: &Path, other_gap: Mistake) {
    let expected = oracle::ask(log, None);
    let system = System::start(&Options::default());
    let property = system.create_property(&["--time-zone", "UTC"]);
    let summary = import(&system, &property, log);
    assert_eq!(summary["acknowledged"], summary["sent"]);
    let status = system.settle();
    let reported = measure(&system, &property, &summary, &status, &expected);
    let found = oracle::differences(&expected, &reported);
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));

    for mistake in [other_gap, Mistake::LeaveOutHit(1), Mistake::LetBotThrough(1)] {
        let found = oracle::differences(&oracle::ask(log, Some(mistake)), &reported);
        assert!(!found.is_empty(), "the comparison did not notice {mistake:?}");
        eprintln!("{mistake:?}: {} differences, the first: {}", found.len(), found[0]);
    }
    check_second_import(&system, &property, log, &reported, &expected);
}

/// The same log once more within 24 hours: every hit is acknowledged as a repeat, and no report changes.
fn check_second_import(system: &System, property: &Property, log: &Path, reported: &Value, expected: &Value) {
    let summary = import(system, property, log);
    let status = system.settle();
    assert_eq!(status["hits"]["repeated"], summary["sent"], "{status}");
    let again = measure(system, property, &summary, &status, expected);
    let found = oracle::differences(reported, &again);
    assert!(found.is_empty(), "a second import changed reports:\n{}", found.join("\n"));
}

fn import(system: &System, property: &Property, log: &Path) -> Value {
    summary_of(&system.import(property, log.to_str().unwrap(), &[]))
}

fn summary_of(output: &Output) -> Value {
    assert!(output.status.success(), "the import failed: {}", sentence(output));
    last_line(output)
}

/// What the import, the status and the reports say, in the form of the oracle's answer.
fn measure(system: &System, property: &Property, summary: &Value, status: &Value, expected: &Value) -> Value {
    let (from, to) = range_around(expected);
    let reports = Reports { system, property, range: [&from, &to] };
    let mut skipped: Map<String, Value> =
        SKIP_REASONS.map(|reason| (reason.to_owned(), json!(0))).into_iter().collect();
    skipped.extend(summary["skipped"].as_object().unwrap().clone());
    let by_class = reports.by_name("traffic_class", "events");
    assert_eq!(status["hits"]["by_class"], by_class, "status and report differ: {status}");
    json!({
        "lines": summary["lines"],
        "sent": summary["sent"],
        "malformed": summary["malformed"],
        "skipped": skipped,
        "hits_by_class": by_class,
        "days": reports.days(),
        "entry_pages": reports.by_name("entry_page", "sessions"),
        "exit_pages": reports.by_name("exit_page", "sessions"),
        "top_pages": reports.top_pages(expected["top_pages"].as_array().unwrap().len()),
        "browsers": reports.by_name("browser", "page_views"),
        "operating_systems": reports.by_name("operating_system", "page_views"),
    })
}

/// Some days more on both sides than the oracle has, so that a hit on a wrong day shows.
fn range_around(expected: &Value) -> (String, String) {
    let days = expected["days"].as_object().unwrap();
    let shifted = |day: Option<&String>, by: i64| {
        let day: jiff::civil::Date = day.unwrap().parse().unwrap();
        day.checked_add(jiff::Span::new().days(by)).unwrap().to_string()
    };
    (shifted(days.keys().min(), -3), shifted(days.keys().max(), 3))
}

struct Reports<'a> {
    system: &'a System,
    property: &'a Property,
    range: [&'a str; 2],
}

impl Reports<'_> {
    fn rows(&self, options: &str) -> Vec<Value> {
        let [from, to] = self.range;
        self.system.rows(self.property, &format!("--from {from} --to {to} {options}"))
    }

    /// One metric by one dimension: `{"Firefox": 3}`.
    fn by_name(&self, dimension: &str, metric: &str) -> Value {
        let rows = self.rows(&format!("--metrics {metric} --dimensions {dimension} --limit {ALL_ROWS}"));
        let pairs = rows.iter().map(|row| (row[dimension].as_str().unwrap().to_owned(), row[metric].clone()));
        let named: Map<String, Value> = pairs.collect();
        assert_eq!(named.len(), rows.len(), "two rows of one {dimension}");
        Value::Object(named)
    }

    fn days(&self) -> Value {
        let metrics = "page_views,visitors,sessions,engaged_sessions,bounce_rate,session_duration";
        let days = self.rows(&format!("--metrics {metrics} --dimensions date")).into_iter().map(|row| {
            let sessions = row["sessions"].as_u64().unwrap();
            // The oracle has no rate and no mean for a day on which no session began.
            let of_sessions = |name: &str| if sessions == 0 { Value::Null } else { row[name].clone() };
            let day = json!({
                "page_views": row["page_views"],
                "visitors": row["visitors"],
                "sessions": sessions,
                "bounces": sessions - row["engaged_sessions"].as_u64().unwrap(),
                "bounce_rate": of_sessions("bounce_rate"),
                "session_duration": of_sessions("session_duration"),
            });
            (row["date"].as_str().unwrap().to_owned(), day)
        });
        Value::Object(days.collect())
    }

    fn top_pages(&self, count: usize) -> Value {
        let order = "--order-by page_views:desc,page_path";
        let rows = self.rows(&format!("--metrics page_views --dimensions page_path {order} --limit {count}"));
        rows.iter().map(|row| json!([row["page_path"], row["page_views"]])).collect()
    }
}
