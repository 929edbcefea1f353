//! Keys, creation of properties, error shapes, health, reflection, the admin port.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use proto::report::RunReportRequest;
use serde_json::{Value, json};
use tonic::Code;
use tonic::codegen::tokio_stream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::running::Running;

const NOW: &str = "2015-05-17T19:00:00Z";

fn request(property_id: &Value) -> RunReportRequest {
    RunReportRequest {
        property_id: property_id.as_str().unwrap_or_default().to_owned(),
        from: "today".into(),
        to: "today".into(),
        metrics: vec!["page_views".into()],
        ..RunReportRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_their_own_property_over_both_faces() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let (mine, other) = (running.property("Mine", "UTC").await?, running.property("Other", "UTC").await?);
    let (mine_id, other_id) = (&mine["property_id"], &other["property_id"]);
    let nobody = json!("p_aaaaaaaaaaaa");
    let report_key = mine["report_key"].as_str().unwrap();
    let api_secret = mine["api_secret"].as_str().unwrap();
    for (key, id, code, status, name) in [
        ("", mine_id, Code::Unauthenticated, 401, "unauthenticated"),
        ("rk_nobody", mine_id, Code::Unauthenticated, 401, "unauthenticated"),
        (api_secret, mine_id, Code::Unauthenticated, 401, "unauthenticated"),
        (report_key, mine_id, Code::Ok, 200, ""),
        (report_key, other_id, Code::PermissionDenied, 403, "permission_denied"),
        (report_key, &nobody, Code::PermissionDenied, 403, "permission_denied"),
        (&running.admin_key, other_id, Code::Ok, 200, ""),
        (&running.admin_key, &nobody, Code::NotFound, 404, "not_found"),
    ] {
        let answer = running.report(key, request(id)).await;
        assert_eq!(answer.err().map_or(Code::Ok, |status| status.code()), code);
        let body = json!({ "property_id": id, "from": "today", "to": "today", "metrics": ["page_views"] });
        let answer = running.http("POST", "/v1/reports/run", key, &body.to_string()).await?;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.body["error"]["code"].as_str().unwrap_or_default(), name);
    }
    let answer = running.http("GET", "/v1/properties", &running.admin_key, "").await?;
    let names =
        answer.body["properties"].as_array().unwrap().iter().map(|property| property["name"].to_string());
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        BTreeSet::from([json!("Mine").to_string(), json!("Other").to_string()])
    );
    assert!(!answer.body.to_string().contains("sha256") && !answer.body.to_string().contains("visitor_key"));
    for (method, body) in [("GET", ""), ("POST", "{\"name\":\"x\"}")] {
        assert_eq!(running.http(method, "/v1/properties", report_key, body).await?.status, 403);
        assert_eq!(running.http(method, "/v1/properties", "", body).await?.status, 401);
    }
    let kept = running.dir.path().join("keys").join(format!("{}.json", mine_id.as_str().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&kept)?)?, mine);
    assert_eq!(std::fs::metadata(&kept)?.permissions().mode() & 0o777, 0o600);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_the_error_shape_with_field_and_value() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let property = running.property("A", "UTC").await?;
    let report = |extra: Value| {
        let mut body = json!({
            "property_id": property["property_id"], "from": "today", "to": "today", "metrics": ["page_views"]
        });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let large = format!("\"{}\"", "x".repeat(70_000));
    for (method, path, body, status, field, value) in [
        ("POST", "/v1/properties", json!({ "name": "" }).to_string(), 400, "name", ""),
        (
            "POST",
            "/v1/properties",
            json!({ "name": "x", "time_zone": "Mars" }).to_string(),
            400,
            "time_zone",
            "Mars",
        ),
        ("POST", "/v1/properties", json!({ "name": "x", "currency": "€" }).to_string(), 400, "currency", "€"),
        (
            "POST",
            "/v1/properties",
            json!({ "name": "x", "hostnames": ["a/b"] }).to_string(),
            400,
            "hostnames[0]",
            "a/b",
        ),
        (
            "POST",
            "/v1/properties",
            json!({ "name": "x", "data_region": "EU" }).to_string(),
            400,
            "data_region",
            "EU",
        ),
        ("POST", "/v1/properties", "{".to_owned(), 400, "body", "{"),
        ("POST", "/v1/reports/run", report(json!({ "metrics": ["hits"] })), 400, "metrics[0]", "hits"),
        ("POST", "/v1/reports/run", report(json!({ "from": "tomorrow" })), 400, "from", "tomorrow"),
        ("POST", "/v1/reports/run", report(json!({ "filter": "a" })), 400, "filter", "a"),
        (
            "POST",
            "/v1/reports/run",
            report(json!({ "dimensions": ["exit_page"] })),
            400,
            "dimensions",
            "exit_page",
        ),
        ("POST", "/v1/reports/run", large.clone(), 413, "", ""),
        ("POST", "/v1/properties", large.clone(), 413, "", ""),
        ("POST", "/v1/properties", json!({ "name": "x", "colour": 1 }).to_string(), 400, "colour", "1"),
        ("GET", "/v1/reports/run", String::new(), 405, "", ""),
        ("DELETE", "/v1/properties", String::new(), 405, "", ""),
        ("GET", "/v2", String::new(), 404, "", ""),
    ] {
        let answer = running.http(method, path, &running.admin_key, &body).await?;
        let error = &answer.body["error"];
        assert_eq!((answer.status, &error["field"], &error["value"]), (status, &json!(field), &json!(value)));
        assert!(error["message"].as_str().is_some_and(|message| message.contains(field)), "{error}");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_are_claimed_listed_and_given_up_over_rest() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let (mine, other) = (running.property("Mine", "UTC").await?, running.property("Other", "UTC").await?);
    let id = |property: &Value| property["property_id"].as_str().unwrap_or_default().to_owned();
    let key = running.admin_key.as_str();
    let alias = |property: &Value| json!({ "property_id": id(property), "protocol": "umami", "id": "B1D5", "hostname": "" });
    let call = async |method: &str, path: &str, body: &Value| -> anyhow::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = running.http(method, path, key, &body).await?;
        Ok((answer.status, answer.body))
    };
    let nothing = Value::Null;
    let (status, added) = call("POST", "/v1/aliases", &alias(&mine)).await?;
    assert_eq!((status, &added["alias"]["property_id"]), (200, &mine["property_id"]), "{added}");
    let (status, taken) = call("POST", "/v1/aliases", &alias(&other)).await?;
    assert_eq!(
        (status, &taken["error"]["code"], &taken["error"]["field"]),
        (409, &json!("already_exists"), &json!("id"))
    );
    let list = format!("/v1/aliases?property_id={}", id(&mine));
    assert_eq!(call("GET", &list, &nothing).await?, (200, json!({ "aliases": [added["alias"]] })));
    let none = format!("/v1/aliases?property_id={}", id(&other));
    assert_eq!(call("GET", &none, &nothing).await?, (200, json!({ "aliases": [] })));
    // A body, which a DELETE does not have, is not passed over.
    let (status, refused) = call("DELETE", "/v1/aliases", &alias(&mine)).await?;
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("body")));
    let query = |property: &Value| {
        format!(
            "alias.property_id={}&alias.protocol=umami&alias.id={}",
            id(property),
            added["alias"]["id"].as_str().unwrap()
        )
    };
    let gone = format!("/v1/aliases?{}", query(&mine));
    assert_eq!(call("DELETE", &gone, &nothing).await?, (200, json!({})));
    assert_eq!(call("DELETE", &gone, &nothing).await?.0, 404);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_serves_its_description_and_says_which_paths_exist() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let description = running.http("GET", "/v1/openapi.json", "", "").await?;
    assert_eq!(description.status, 200);
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"))?;
    assert_eq!(description.body, serde_json::from_slice::<Value>(&file)?);
    let answer = running.http("GET", "/v2", "", "").await?;
    let message = answer.body["error"]["message"].as_str().unwrap_or_default();
    for path in [
        "POST /v1/reports/run",
        "GET or POST /v1/properties",
        "GET or PUT /v1/properties/{property_id}/rules",
    ] {
        assert!(message.contains(path), "{message}");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reflection_metrics_and_status_answer() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let channel = tonic::transport::Channel::from_shared(running.grpc.clone())?.connect().await?;
    let mut health = HealthClient::new(channel.clone());
    let service = "meridian.report.v1.ReportService".to_owned();
    let status = health.check(HealthCheckRequest { service }).await?.into_inner().status();
    assert_eq!(status, ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(channel);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(list)).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"meridian.report.v1.ReportService"), "{names:?}");
    assert!(names.contains(&"meridian.config.v1.PropertyService"), "{names:?}");

    let refused = running.report("", RunReportRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let metrics = running.admin("/metrics").await?;
    let counted = "api_requests_total{method=\"run_report\",code=\"unauthenticated\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("api_report_seconds_count"), "{metrics}");
    assert!(metrics.contains("api_config_version 1"), "{metrics}");
    let status = running.admin("/status").await?;
    assert!(status.contains("\"requests\":{\"length\":0,\"limit\":64,\"unit\":\"requests\"}"), "{status}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_is_down_is_unavailable_and_nothing_of_it_is_told() -> anyhow::Result<()> {
    let mut running = Running::start(NOW).await?;
    let property = running.property("A", "UTC").await?;
    running.kill_engine()?;
    let refused = running.report(&running.admin_key, request(&property["property_id"])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "the warehouse does not answer now; repeat the request");
    // Properties need no warehouse.
    running.property("B", "UTC").await?;
    running.stop().await
}
