//! Apis, hubs and edges as processes, each with a data directory of its own, and relays between edges and hubs that can be cut.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use http::{Method, StatusCode};
use identity::development::ensure_development;
use identity::{Identity, Role, TlsFiles};
use meridian::dev::layout::Ports;
use meridian::http_client::HttpClient;
use serde_json::{Value, json};
use store::StoreConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::relay::Relay;

/// 2026-01-01: certificates are valid from the day before, for ten years.
const CERTIFICATES_FROM_MS: u64 = 1_767_225_600_000;

const RULES: &str = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A service that runs, or ran.
pub(crate) struct Service {
    binary: PathBuf,
    config: PathBuf,
    child: Child,
    ready: Value,
}

impl Service {
    fn start(name: &str, binary: &str, dir: &Path, config: &impl serde::Serialize) -> Self {
        let test = std::env::current_exe().unwrap();
        let binary = test.parent().and_then(Path::parent).unwrap().join(binary);
        let path = dir.join(format!("{name}.toml"));
        std::fs::write(&path, toml::to_string(config).unwrap()).unwrap();
        let (child, ready) = spawn(&binary, &path);
        Self { binary, config: path, child, ready }
    }

    /// An address of its ready line.
    pub(crate) fn address(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready)).to_owned()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.ready) = spawn(&self.binary, &self.config);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn spawn(binary: &Path, config: &Path) -> (Child, Value) {
    let mut child = Command::new(binary)
        .arg("--config")
        .arg(config)
        .arg("--die-with-parent")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo build --workspace` first", binary.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready =
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{} is not ready: {line:?}", config.display()));
    (child, ready)
}

/// Everything.
pub(crate) struct Mesh {
    pub(crate) apis: Vec<Service>,
    pub(crate) hubs: Vec<Service>,
    pub(crate) edges: Vec<Service>,
    /// To each hub, by edge.
    pub(crate) relays: Vec<Vec<Relay>>,
    pub(crate) runtime: Runtime,
    admin_key: String,
    client: HttpClient,
    dir: TempDir,
}

impl Mesh {
    pub(crate) fn start(apis: usize, hubs: usize, edges: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::write(root.join("regexes.yaml"), RULES).unwrap();
        std::fs::write(root.join("crawlers.json"), r#"[{"pattern":"bot"}]"#).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let apis: Vec<_> = (1..=apis).map(|n| start_api(root, n)).collect();
        let sources: Vec<_> = apis.iter().map(|api| api.address("mesh")).collect();
        let hubs: Vec<_> = (1..=hubs).map(|n| start_hub(root, n, &sources)).collect();
        let relays: Vec<Vec<Relay>> = (0..edges)
            .map(|_| hubs.iter().map(|hub| Relay::start(&runtime, &hub.address("mesh"))).collect())
            .collect();
        let edges = (1..=edges)
            .zip(&relays)
            .map(|(n, relays)| {
                let sources = relays.iter().map(|relay| relay.url.clone()).collect();
                start_edge(root, n, sources, &hubs)
            })
            .collect();
        let admin_key = std::fs::read_to_string(root.join("admin.key")).unwrap().trim().to_owned();
        let client = HttpClient::new(Duration::from_secs(60));
        Self { apis, hubs, edges, relays, runtime, admin_key, client, dir }
    }

    /// Where the object store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// A call of an api as the admin: status and body.
    pub(crate) async fn call(
        &self,
        api: usize,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.apis[api].address("api"));
        let bearer = format!("Bearer {}", self.admin_key);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = self.client.send(method, &url, &headers, body.into()).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// A new property; gives the answer.
    pub(crate) async fn create(&self, api: usize, name: &str) -> Value {
        let (status, created) = self.call(api, Method::POST, "/v1/properties", json!({ "name": name })).await;
        assert!(status.is_success(), "{created}");
        created
    }

    /// Sends a page view; gives the status.
    pub(crate) async fn hit(&self, edge: usize, property: &Value) -> u16 {
        let url = format!("{}/v1/collect", self.edges[edge].address("collect"));
        let body = json!({ "measurement_id": property["measurement_id"], "hits": [{ "url": "https://shop.example/" }] });
        let headers =
            [("content-type", "application/json"), ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")];
        let answer = self.client.send(Method::POST, &url, &headers, body.to_string().into()).await.unwrap();
        answer.status.as_u16()
    }

    /// What `meridian status` says of every service: kind, and version of the configuration.
    pub(crate) fn versions(&self) -> Vec<(String, u64)> {
        let all = self.apis.iter().chain(&self.hubs).chain(&self.edges);
        let admin: Vec<_> = all.map(|service| service.address("admin")).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_meridian"))
            .args(["status", "--format", "json", "--admin", &admin.join(",")])
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let services = status["services"].as_array().unwrap().iter();
        services
            .filter_map(|service| {
                Some((service["service"].as_str()?.to_owned(), service["config_version"].as_u64()?))
            })
            .collect()
    }
}

fn tls(root: &Path, role: Role, n: usize) -> TlsFiles {
    let identity = Identity::new(role, format!("{}-{n}", role.as_str())).unwrap();
    ensure_development(&root.join("tls"), &[identity], CERTIFICATES_FROM_MS).unwrap().remove(0)
}

/// A port that stays the same when its service is started again: others are told of it. One counter for the tests of this process.
fn port() -> SocketAddr {
    static PORTS: LazyLock<Mutex<Ports>> = LazyLock::new(Mutex::default);
    PORTS.lock().unwrap().loopback().unwrap()
}

fn start_api(root: &Path, n: usize) -> Service {
    let mut config = api::Config {
        grpc_listen: ANY_PORT,
        http_listen: ANY_PORT,
        admin_listen: ANY_PORT,
        admin_key_file: root.join("admin.key"),
        ..api::Config::default()
    };
    config.config.store = StoreConfig::local(&root.join("store")).unwrap();
    config.config.data_dir = root.join(format!("api-{n}"));
    config.mesh =
        Some(api::mesh::MeshConfig { listen: port(), tls: tls(root, Role::Api, n), ..Default::default() });
    Service::start(&format!("api-{n}"), "api", root, &config)
}

fn start_hub(root: &Path, n: usize, sources: &[String]) -> Service {
    let mut config =
        hub::Config { admin_listen: ANY_PORT, tls: tls(root, Role::Hub, n), ..hub::Config::default() };
    config.store = StoreConfig::local(&root.join("store")).unwrap();
    config.data_dir = root.join(format!("hub-{n}"));
    config.receive.listen = port();
    config.mesh.listen = port();
    config.config.sources = sources.to_vec();
    Service::start(&format!("hub-{n}"), "hub", root, &config)
}

fn start_edge(root: &Path, n: usize, sources: Vec<String>, hubs: &[Service]) -> Service {
    let mut config = edge_agent::Config {
        data_dir: root.join(format!("edge-{n}")),
        user_agent_rules: root.join("regexes.yaml"),
        crawler_list: root.join("crawlers.json"),
        admin_listen: ANY_PORT,
        tls: tls(root, Role::Edge, n),
        ..edge_agent::Config::default()
    };
    config.collect.listen = ANY_PORT;
    config.ship.hubs = hubs.iter().map(|hub| hub.address("quic")).collect();
    config.config.sources = sources;
    Service::start(&format!("edge-{n}"), "edge-agent", root, &config)
}
