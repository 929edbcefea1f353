//! `meridian-load run --verify` against a whole system: what it counts is what reports say, and it notices when not.
//!
//! Between the generator and the edge stands a server of the test. It hands every request on, or acknowledges one
//! without handing it on: an edge that loses what it acknowledged.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use meridian::http_client::HttpClient;

use crate::system::{MERIDIAN, Options, System};

const SCENARIO: &str = "
[load]
phases = [{ seconds = 4, hits_per_second = 500 }]
[connections]
count = 8
hits_per_request = 10
[traffic]
properties = 12
pages = 1000
user_agents = 40
late = 0.05
late_max_ms = 172800000
repeated_requests = 0.05
repeated_hits = 0.05
";

/// Hands requests on to the edge, but for one.
struct Between {
    edge: String,
    client: HttpClient,
    requests: AtomicU64,
    /// Number of the request that is acknowledged and lost.
    lost: Option<u64>,
}

#[test]
fn load_is_counted_as_acknowledged_and_a_lost_request_is_noticed() {
    let system = System::start(&Options::default());
    let scenario = system.data().join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();

    let (good, result) = run(&system, &scenario, 1, None);
    let said = String::from_utf8_lossy(&good.stdout);
    assert!(good.status.success(), "{said}{}", String::from_utf8_lossy(&good.stderr));
    assert!(said.contains("verified: reports of 12 of 12 visited properties equal"), "{said}");
    // 4 s of 50 requests/s, as a Poisson process: 200 ± 6 standard deviations, each of 10 hits.
    let acknowledged = result["verified"]["acknowledged"].as_u64().unwrap();
    assert!((1_150..=2_850).contains(&acknowledged), "{acknowledged}");
    assert!(result["repeats"].as_u64().unwrap() > 0, "{}", result["repeats"]);

    // The same properties once more: what they had before does not count.
    // Nothing is sent twice, or the lost request might be one of those that come again.
    let once = SCENARIO
        .replace("repeated_requests = 0.05", "repeated_requests = 0")
        .replace("repeated_hits = 0.05", "repeated_hits = 0");
    std::fs::write(&scenario, once).unwrap();
    let (bad, result) = run(&system, &scenario, 2, Some(40));
    assert_eq!(bad.status.code(), Some(1), "{}", String::from_utf8_lossy(&bad.stdout));
    let difference = result["verified"]["acknowledged"].as_u64().unwrap()
        - result["verified"]["reported"].as_u64().unwrap();
    assert_eq!((difference, result["verified"]["wrong"].as_u64().unwrap()), (10, 1));
    let said = String::from_utf8_lossy(&bad.stdout);
    assert!(said.contains("DIFFERENT: 1 of 12 compared properties") && said.contains("p_"), "{said}");
    system.settle();
}

fn run(system: &System, scenario: &Path, seed: u64, lost: Option<u64>) -> (Output, serde_json::Value) {
    let between = Between {
        edge: format!("{}/v1/collect", system.address("collect")),
        client: HttpClient::new(Duration::from_secs(30)),
        requests: AtomicU64::new(0),
        lost,
    };
    let collect = start(system, between);
    let json = system.data().join(format!("load-{seed}.json"));
    let key = std::fs::read_to_string(system.data().join("admin.key")).unwrap();
    let output = Command::new(Path::new(MERIDIAN).with_file_name("meridian-load"))
        .arg("run")
        .arg(scenario)
        .args(["--collect", &format!("http://{collect}"), "--grpc", system.address("grpc")])
        .args(["--admin", system.address("admin"), "--key", key.trim(), "--verify"])
        .args(["--seed", &seed.to_string(), "--json"])
        .arg(&json)
        .output()
        .expect("meridian-load is built with the workspace");
    let result = std::fs::read(&json).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output, serde_json::from_slice(&result).unwrap())
}

fn start(system: &System, between: Between) -> SocketAddr {
    let runtime = system.runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(hand_on).with_state(Arc::new(between));
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}

async fn hand_on(State(between): State<Arc<Between>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let number = between.requests.fetch_add(1, Ordering::SeqCst);
    if between.lost == Some(number) {
        return StatusCode::NO_CONTENT;
    }
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (agent, address) = (text("user-agent"), text("x-forwarded-for"));
    let headers = [("user-agent", agent.as_str()), ("x-forwarded-for", address.as_str())];
    let answer = between.client.send(Method::POST, &between.edge, &headers, body).await;
    answer.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status)
}
