//! An edge process with a site of its own: certificates, one property, rules, salts, a data directory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use configuration::fixture::edge_copy;
use configuration::salts::wanted;
use edge_agent::{Config, rehearse};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use identity::{Identity, Role, TlsFiles, ensure_development};
use property::{Alias, NewProperty, OwnedAlias, Property};
use serde_json::Value;
use service::clock::{Clock as _, SystemClock};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// 2026-01-01: certificates are valid from the day before, for ten years.
const CERTIFICATES_FROM_MS: u64 = 1_767_225_600_000;

const BINARY: &str = env!("CARGO_BIN_EXE_edge-agent");

const USER_AGENT_RULES: &str = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";

/// Everything on disk.
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) measurement_id: String,
    pub(crate) property_id: String,
    pub(crate) property: Property,
    pub(crate) api_secret: String,
    pub(crate) edge_tls: TlsFiles,
    pub(crate) hub_tls: TlsFiles,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let identities =
            [Identity::new(Role::Edge, "edge-1").unwrap(), Identity::new(Role::Hub, "hub-1").unwrap()];
        let tls = ensure_development(&root.join("tls"), &identities, CERTIFICATES_FROM_MS).unwrap();
        let new = NewProperty { name: "Shop".into(), ..NewProperty::default() };
        let created = new.create(CERTIFICATES_FROM_MS).unwrap();
        std::fs::write(root.join("regexes.yaml"), USER_AGENT_RULES).unwrap();
        std::fs::write(root.join("crawlers.json"), r#"[{"pattern":"bot"}]"#).unwrap();
        let site = Self {
            measurement_id: created.property.measurement_id.clone(),
            property_id: created.property.property_id.clone(),
            api_secret: created.api_secret,
            edge_tls: tls[0].clone(),
            hub_tls: tls[1].clone(),
            property: created.property,
            directory,
        };
        site.configure(&[]);
        rehearse::salt_files(&site.path().join("data"), &wanted(SystemClock::new().now_ms())).unwrap();
        site
    }

    /// Makes what the edge has been told once: the property and these aliases of it.
    pub(crate) fn configure(&self, aliases: &[(&str, &str, &str)]) {
        let aliases: Vec<_> =
            aliases.iter().map(|(protocol, id, hostname)| self.alias(protocol, id, hostname)).collect();
        self.configure_as(std::slice::from_ref(&self.property), &aliases);
    }

    /// The same with these properties.
    pub(crate) fn configure_as(&self, properties: &[Property], aliases: &[OwnedAlias]) {
        let copy = self.path().join("data").join(edge_agent::CONFIG_FILE);
        // The copy of an edge that has not run yet may be made anew.
        let _was_there = std::fs::remove_file(&copy);
        edge_copy(&copy, properties.iter().cloned(), aliases).unwrap();
    }

    /// What another product calls the site.
    pub(crate) fn alias(&self, protocol: &str, id: &str, hostname: &str) -> OwnedAlias {
        let alias = Alias { protocol: protocol.into(), id: id.into(), hostname: hostname.into() };
        OwnedAlias { alias, property_id: self.property_id.clone() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A configuration with free ports, fast flushes and this hub.
    pub(crate) fn config(&self, hub: &str) -> Config {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut config = Config {
            data_dir: self.path().join("data"),
            user_agent_rules: self.path().join("regexes.yaml"),
            crawler_list: self.path().join("crawlers.json"),
            admin_listen: any,
            drain_ms: 5_000,
            tls: self.edge_tls.clone(),
            ..Config::default()
        };
        config.collect.listen = any;
        config.process.flush_interval_ms = 50;
        config.ship.hubs = vec![hub.to_owned()];
        config.ship.backoff_max_ms = 200;
        config
    }

    /// Starts the binary and waits for its ready line.
    pub(crate) async fn start(&self, config: &Config) -> Edge {
        self.start_as(Command::new(BINARY), config).await
    }

    /// What the binary says when it does not start.
    pub(crate) async fn refused(&self, config: &Config) -> String {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(self.write(config)).arg("--die-with-parent").kill_on_drop(true);
        let output = command.output().await.unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn write(&self, config: &Config) -> PathBuf {
        let file = self.path().join("edge.toml");
        std::fs::write(&file, toml::to_string(config).unwrap()).unwrap();
        file
    }

    /// The same under strace, which writes the system calls `calls` to `trace` and ends when the edge has ended.
    pub(crate) async fn start_traced(&self, config: &Config, calls: &str, trace: &Path) -> Edge {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-y", "-q", "--seccomp-bpf", "-s", "16", "-e", "signal=none"]);
        command.arg("-e").arg(format!("trace={calls}")).arg("-o").arg(trace).arg("--").arg(BINARY);
        self.start_as(command, config).await
    }

    /// The same with its log in a file.
    pub(crate) async fn start_logged(&self, config: &Config) -> (Edge, PathBuf) {
        let (command, log) = self.logged();
        (self.start_as(command, config).await, log)
    }

    fn logged(&self) -> (Command, PathBuf) {
        let log = self.path().join("edge.log");
        let mut command = Command::new(BINARY);
        command.stderr(std::fs::File::create(&log).unwrap());
        (command, log)
    }

    /// Starts an edge that may never be ready, and waits until it says where it listens all the same.
    pub(crate) async fn start_unready(&self, config: &Config) -> Edge {
        let (command, log) = self.logged();
        let child = self.spawn(command, config);
        loop {
            let told = std::fs::read_to_string(&log).unwrap();
            let url = |name: &str| {
                let rest = told.split_once(&format!("{name}=\""))?.1;
                rest.split_once('"').map(|(url, _)| url.to_owned())
            };
            if let (Some(collect), Some(admin)) = (url("collect"), url("admin")) {
                return Edge { child, collect, admin, client: client() };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(&self, mut command: Command, config: &Config) -> Child {
        command
            .arg("--config")
            .arg(self.write(config))
            .arg("--die-with-parent")
            .env(service::fail::DIRECTORY, self.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; run `scripts/setup.sh test`"))
    }

    async fn start_as(&self, command: Command, config: &Config) -> Edge {
        let mut child = self.spawn(command, config);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the edge ended before it was ready");
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&ready["event"], &ready["service"]), (&"ready".into(), &"edge".into()));
        let url = |name: &str| ready[name].as_str().unwrap().to_owned();
        Edge { child, collect: url("collect"), admin: url("admin"), client: client() }
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A running edge.
pub(crate) struct Edge {
    child: Child,
    pub(crate) collect: String,
    pub(crate) admin: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code and field of an error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |name: &str| json["error"][name].as_str().unwrap().to_owned();
        assert!(!text("message").is_empty());
        let _value = text("value");
        (self.status.as_u16(), text("code"), text("field"))
    }
}

impl Edge {
    /// Sends a request; `None` when the connection broke.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.collect));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer { status: head.status, headers: head.headers, body })
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.expect("no answer")
    }

    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Answer {
        // Without a user agent it would be taken for a bot.
        self.send(Method::POST, "/v1/collect", &[("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")], body)
            .await
    }

    /// A page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let request = Request::get(format!("{}{path}", self.admin)).body(Full::default()).unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and waits; whether it ended with success.
    pub(crate) async fn stop(self) -> bool {
        self.terminate();
        self.ends().await
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Waits for its end; whether it was with success.
    pub(crate) async fn ends(mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }
}
