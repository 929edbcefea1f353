//! Rules are set and shown over both faces, by the admin alone, and refused by line or field.

use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{GetRulesRequest, RuleChange, SetRulesRequest};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::running::Running;

const NOW: &str = "2015-05-17T19:00:00Z";

fn path(id: &Value) -> String {
    format!("/v1/properties/{}/rules", id.as_str().unwrap_or_default())
}

async fn set(running: &Running, key: &str, id: &Value, rules: &str) -> anyhow::Result<(u16, Value)> {
    let body = json!({ "rules": rules }).to_string();
    let answer = running.http("PUT", &path(id), key, &body).await?;
    Ok((answer.status, answer.body))
}

async fn get(running: &Running, key: &str, id: &Value, query: &str) -> anyhow::Result<(u16, Value)> {
    let answer = running.http("GET", &format!("{}{query}", path(id)), key, "").await?;
    Ok((answer.status, answer.body))
}

fn as_admin<T>(running: &Running, message: T) -> anyhow::Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-goog-api-key", running.admin_key.parse()?);
    Ok(request)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_set_and_shown_over_both_faces() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let property = running.property("Shop", "Europe/Berlin").await?;
    let id = &property["property_id"];
    let key = running.admin_key.as_str();
    let answer = set(&running, key, id, "session_timeout_s = 60").await?;
    let change = json!({ "field": "session_timeout_s", "old": "1800", "new": "60" });
    assert_eq!(answer, (200, json!({ "version": 2, "changes": [change] })));
    let answer = set(&running, key, id, "session_timeout_s = 60").await?;
    assert_eq!(answer, (200, json!({ "version": 2, "changes": [] })));

    let mut client = PropertyServiceClient::connect(running.grpc.clone()).await?;
    let property_id = id.as_str().unwrap_or_default().to_owned();
    let rules = "time_zone = \"UTC\"".to_owned();
    let request = SetRulesRequest { property_id: property_id.clone(), rules, dry_run: false };
    let answer = client.set_rules(as_admin(&running, request)?).await?.into_inner();
    let change = |field: &str, old: &str, new: &str| RuleChange {
        field: field.to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
    };
    let expected =
        [change("session_timeout_s", "60", "1800"), change("time_zone", "\"Europe/Berlin\"", "\"UTC\"")];
    assert_eq!((answer.version, answer.changes.as_slice()), (3, &expected[..]));

    let (status, now) = get(&running, key, id, "").await?;
    assert_eq!((status, &now["version"], &now["current_version"]), (200, &json!(3), &json!(3)));
    let request = GetRulesRequest { property_id, version: 2 };
    let before = client.get_rules(as_admin(&running, request)?).await?.into_inner();
    assert_eq!((before.version, before.current_version), (2, 3));
    assert!(before.rules.contains("session_timeout_s = 60\n"), "{}", before.rules);
    // What was shown can be set again.
    let (status, again) = set(&running, key, id, &before.rules).await?;
    assert_eq!((status, &again["version"]), (200, &json!(4)));
    let (_, shown) = get(&running, key, id, "").await?;
    assert_eq!(shown["rules"], json!(before.rules));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_refused_by_key_property_line_and_field() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let property = running.property("Shop", "UTC").await?;
    let id = &property["property_id"];
    let (admin, report) = (running.admin_key.as_str(), property["report_key"].as_str().unwrap_or_default());
    let nobody = json!("p_aaaaaaaaaaaa");
    let good = "session_timeout_s = 60";
    let long = "#".repeat(49_153);
    for (key, id, rules, status, field, value) in [
        ("", id, good, 401, "", ""),
        (report, id, good, 403, "property_id", id.as_str().unwrap_or_default()),
        (admin, &nobody, good, 404, "property_id", "p_aaaaaaaaaaaa"),
        (admin, &json!("%20"), good, 404, "property_id", " "),
        (admin, id, "\ncolour = 1", 400, "rules", "colour = 1"),
        (admin, id, "session_timeout_s = 0", 400, "session_timeout_s", "0"),
        (admin, id, "[tracker]\nconsent = \"no\"", 400, "tracker.consent", "no"),
        (admin, id, &long, 413, "", ""),
    ] {
        let (answered, body) = set(&running, key, id, rules).await?;
        let error = &body["error"];
        assert_eq!(
            (answered, &error["field"], &error["value"]),
            (status, &json!(field), &json!(value)),
            "{body}"
        );
    }
    let property_id = id.as_str().unwrap_or_default();
    for (key, id, query, status) in [
        ("", id, "", 401),
        (report, id, "", 403),
        (admin, &nobody, "", 404),
        (admin, id, "?version=2", 404),
        (admin, id, "?version=x", 400),
        (admin, id, "?versions=1", 400),
    ] {
        let (answered, body) = get(&running, key, id, query).await?;
        assert_eq!(answered, status, "{id} {query}: {body}");
        assert!(body["error"]["message"].is_string(), "{body}");
    }
    let (_, shown) = get(&running, admin, id, "").await?;
    assert_eq!(shown["version"], json!(1), "what was refused set nothing");
    let mut client = PropertyServiceClient::connect(running.grpc.clone()).await?;
    let request = SetRulesRequest { property_id: property_id.to_owned(), rules: "x".into(), dry_run: true };
    let refused = client.set_rules(as_admin(&running, request)?).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("line 1 of the rules file"), "{}", refused.message());
    // What REST says as field and value is in the details that clients of gRPC read.
    let details = refused.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    assert_eq!(violations.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["rules"]);
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("INVALID_ARGUMENT"));
    running.stop().await
}
