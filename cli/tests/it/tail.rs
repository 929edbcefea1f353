//! `meridian tail` shows hits as they come: taken with their class, dropped and refused with the reason.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::system::command::clean_environment;
use crate::system::{MERIDIAN, Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

#[test]
fn hits_are_shown_as_they_come() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Shop"]);
    let other = system.create_property(&["--name", "Other"]);
    let hit = |id: &str, hit: Value| json!({"measurement_id": id, "hits": [hit]});
    let page = || json!({"url": "https://shop.example.com/", "params": {"plan": "pro"}});
    let agent = |agent: &'static str| [("user-agent", agent)];
    // Classes are known once processing has begun.
    assert_eq!(system.collect(&hit(&other.measurement_id, page()), &agent(HUMAN)).0, 204);
    system.settle();
    let mut command = Command::new(MERIDIAN);
    clean_environment(&mut command);
    let mut tail = command
        .args(["tail", "--property", &property.property_id, "--count", "4", "--format", "json"])
        .args(["--admin", system.address("admin")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().starts_with("waiting for hits of p_"));
    // From when on lines are kept is seen by asking as the command does.
    let url = format!("{}/seen?property_id={}", system.address("admin"), property.property_id);
    let seen: Value = system.get_json(&url).unwrap();
    assert_eq!(seen, json!({"seen": []}));

    system.collect(&hit(&other.measurement_id, page()), &agent(HUMAN));
    assert_eq!(system.collect(&hit(&property.measurement_id, page()), &agent(HUMAN)).0, 204);
    assert_eq!(system.collect(&hit(&property.measurement_id, page()), &agent("curl/8")).0, 204);
    assert_eq!(system.collect(&hit(&property.measurement_id, json!({"age_ms": -5})), &agent(HUMAN)).0, 400);
    let old = format!(
        r#"{{"batch":[{{"type":"page","userId":"u","timestamp":"2015-05-17T00:00:00Z"}}],"writeKey":"{}"}}"#,
        property.measurement_id
    );
    let batch = format!("{}/v1/batch", system.address("collect"));
    let sent = system.client().send(Method::POST, &batch, &[], Bytes::from(old));
    assert_eq!(system.runtime().block_on(sent).unwrap().status, 200);

    let lines: Vec<Value> = BufReader::new(tail.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(tail.wait().unwrap().success());
    let shown: Vec<_> = lines.iter().map(|line| (line["outcome"].clone(), line["reason"].clone())).collect();
    let none = Value::Null;
    let expected = [
        (json!("accepted"), none.clone()),
        (json!("accepted"), none),
        (json!("refused"), json!("invalid_field")),
        (json!("dropped"), json!("too_old")),
    ];
    assert_eq!(shown, expected, "{lines:#?}");
    assert_eq!(
        (&lines[0]["url"], &lines[0]["params"]["plan"]),
        (&json!("https://shop.example.com/"), &json!("pro"))
    );
    assert_eq!((&lines[0]["protocol"], &lines[3]["protocol"]), (&json!("meridian"), &json!("segment")));
    assert_eq!(lines[2]["field"], "hits[0].age_ms");
    let traffic = |line: &Value| (line["traffic_class"].clone(), line["traffic_reason"].clone());
    assert_eq!(traffic(&lines[0]), (json!("human"), json!("")));
    assert_eq!(traffic(&lines[1]), (json!("bot"), json!("crawler_user_agent")));
}
