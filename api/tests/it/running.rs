//! Starts the engine and the api over it, and asks both faces.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, bail, ensure};
use api::config::LimitsConfig;
use api::quotas::QuotasConfig;
use proto::report::report_service_client::ReportServiceClient;
use proto::report::{RunReportRequest, RunReportResponse};
use serde_json::{Map, Value, json};
use service::{Context, TestClock};
use store::StoreConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warehouse::WarehouseConfig;

/// Engine and api; both end with it.
pub(crate) struct Running {
    pub(crate) dir: TempDir,
    pub(crate) clock: TestClock,
    pub(crate) warehouse: WarehouseConfig,
    pub(crate) admin_key: String,
    pub(crate) grpc: String,
    http: String,
    admin: String,
    context: Context,
    api: JoinHandle<anyhow::Result<()>>,
    engine: Engine,
}

struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already; nothing to do then.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

fn library() -> anyhow::Result<PathBuf> {
    let default = "../third-party/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";
    let path = std::env::var_os("MERIDIAN_CHDB")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default), PathBuf::from);
    ensure!(
        path.is_file(),
        "the engine library {} is missing: run `make setup`, or set MERIDIAN_CHDB to the path of libchdb.so",
        path.display()
    );
    Ok(path)
}

/// The binary lies beside the folder of the test's own.
fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test has no target folder")?;
    let path = folder.join("embedded-clickhouse");
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build -p embedded-clickhouse` first, as `make test` does",
        path.display()
    );
    Ok(path)
}

fn start_engine(dir: &Path) -> anyhow::Result<(Engine, String)> {
    let config = dir.join("warehouse.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\ndata_dir = {:?}\nlibrary = {:?}\n",
        dir.join("warehouse"),
        library()?
    );
    std::fs::write(&config, text)?;
    let mut child = Command::new(binary()?)
        .arg("--config")
        .arg(config)
        .arg("--die-with-parent")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let engine = Engine(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let ready: Value =
        serde_json::from_str(&line).with_context(|| format!("no ready line of the engine but {line:?}"))?;
    Ok((engine, ready["http"].as_str().context("no URL of the engine")?.to_owned()))
}

impl Running {
    /// Tables made, api ready, `now` on its clock (RFC 3339).
    pub(crate) async fn start(now: &str) -> anyhow::Result<Self> {
        Self::start_as(now, QuotasConfig::default()).await
    }

    /// The same with this table `[quotas]`.
    pub(crate) async fn start_as(now: &str, quotas: QuotasConfig) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (engine, url) = start_engine(dir.path())?;
        let warehouse = WarehouseConfig { url, ..WarehouseConfig::default() };
        warehouse::migrate(&warehouse).await?;
        let now: jiff::Timestamp = now.parse()?;
        let clock = TestClock::new(u64::try_from(now.as_millisecond())?);
        let (ready, fields) = oneshot::channel();
        let context = context(&clock, ready);
        let free = "127.0.0.1:0".parse()?;
        let history = api::history::HistoryConfig {
            store: StoreConfig::local(&dir.path().join("store"))?,
            data_dir: dir.path().join("api"),
            ..Default::default()
        };
        let config = api::Config {
            grpc_listen: free,
            http_listen: free,
            admin_listen: free,
            config: history,
            admin_key_file: dir.path().join("admin.key"),
            keys_dir: Some(dir.path().join("keys")),
            warehouse: warehouse.clone(),
            quotas,
            // No bucket would fill again while the clock stands still.
            limits: LimitsConfig { calls_per_second: 0, reports_per_second: 0, ..LimitsConfig::default() },
            ..api::Config::default()
        };
        let api = tokio::spawn(Box::pin(api::run(config, context.clone())));
        let Ok(fields) = fields.await else { bail!("the api did not start: {:?}", api.await?) };
        let url = |name: &str| Ok::<_, anyhow::Error>(fields[name].as_str().context("no URL")?.to_owned());
        Ok(Self {
            admin_key: std::fs::read_to_string(dir.path().join("admin.key"))?.trim().to_owned(),
            grpc: url("grpc")?,
            http: url("api")?,
            admin: url("admin")?,
            dir,
            clock,
            warehouse,
            context,
            api,
            engine,
        })
    }

    /// A request with a JSON body, or none.
    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let header = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
        let answer = exchange(&self.http, method, path, &header, body).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok(Answer { status, body: serde_json::from_str(body).with_context(|| format!("{head}\n{body:?}"))? })
    }

    /// A page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<String> {
        exchange(&self.admin, "GET", path, "", "").await
    }

    /// Makes a property as the admin; gives the answer's object.
    pub(crate) async fn property(&self, name: &str, time_zone: &str) -> anyhow::Result<Value> {
        let body = json!({ "name": name, "time_zone": time_zone }).to_string();
        let answer = self.http("POST", "/v1/properties", &self.admin_key, &body).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer.body)
    }

    /// A report over gRPC.
    pub(crate) async fn report(
        &self,
        key: &str,
        request: RunReportRequest,
    ) -> Result<RunReportResponse, tonic::Status> {
        let mut client = ReportServiceClient::connect(self.grpc.clone())
            .await
            .map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut request = tonic::Request::new(request);
        if !key.is_empty() {
            let key = key.parse().map_err(|_| tonic::Status::internal("the key is no metadata"))?;
            request.metadata_mut().insert("x-goog-api-key", key);
        }
        Ok(client.run_report(request).await?.into_inner())
    }

    /// Kills the engine under the running api.
    pub(crate) fn kill_engine(&mut self) -> anyhow::Result<()> {
        self.engine.0.kill()?;
        self.engine.0.wait()?;
        Ok(())
    }

    /// Stops the api as a signal would, then the engine.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.context.shutdown.cancel();
        self.api.await??;
        drop(self.engine);
        Ok(())
    }
}

fn context(clock: &TestClock, ready: oneshot::Sender<Map<String, Value>>) -> Context {
    let ready = Mutex::new(Some(ready));
    Context::new(clock.shared()).child(Arc::new(move |service, fields| {
        assert_eq!(service, "api");
        let sender = ready.lock().ok().and_then(|mut ready| ready.take());
        sender
            .and_then(|sender| sender.send(fields).ok())
            .ok_or_else(|| std::io::Error::other("nobody waits"))
    }))
}

async fn exchange(url: &str, method: &str, path: &str, header: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
