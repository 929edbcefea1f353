//! How soon a killed edge with very much to do takes hits again: prints one line of JSON.
//!
//! `restart --edge PATH/edge-agent [--sessions N] [--hits N] [--assets DIR]`: with a million open sessions and ten million hits in no
//! batch by default. The data directory is filled by a process that is killed at the end, then the edge is started on it;
//! hits are sent until one is acknowledged, two ids are repeated (one sealed, one in no batch), and the replay is waited
//! for. Exits with 1 if a repeat was counted. DIR holds what `third-party/node_modules` does: the rules of user agents; without it a few rules do.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use configuration::fixture::edge_copy;
use edge_agent::Config;
use edge_agent::rehearse::{self, Sizes};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use identity::{Identity, Role, ensure_development};
use nix::sys::signal::{Signal, raise};
use property::NewProperty;
use serde_json::{Value, json};
use service::clock::SystemClock;

const USER_AGENT_RULES: &str = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";

/// How often the edge is asked how far the replay is.
const POLL: Duration = Duration::from_millis(200);

type Http = Client<HttpConnector, Full<Bytes>>;

fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn number(name: &str, default: u64) -> anyhow::Result<u64> {
    argument(name).map_or(Ok(default), |value| value.parse().with_context(|| format!("{name} {value:?}")))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let sizes =
        Sizes { sessions: number("--sessions", 1_000_000)?, unprocessed_hits: number("--hits", 10_000_000)? };
    if let Some(root) = argument("--fill") {
        return fill_and_die(Path::new(&root), sizes);
    }
    let edge = PathBuf::from(argument("--edge").context("--edge is missing: the path of edge-agent")?);
    let root = tempfile::tempdir()?;
    let measurement_id = lay_out(root.path(), sizes)?;
    let begun = Instant::now();
    let status = Command::new(std::env::current_exe()?)
        .args(["--fill".as_ref(), root.path().as_os_str()])
        .args(["--sessions", &sizes.sessions.to_string(), "--hits", &sizes.unprocessed_hits.to_string()])
        .status()?;
    ensure!(status.signal() == Some(9), "filling the data directory failed: {status}");
    eprintln!("filled the data directory in {:.0} s", begun.elapsed().as_secs_f64());
    let figures = measure(&edge, root.path(), &measurement_id, sizes).await?;
    println!("{figures}");
    ensure!(figures["repeats_recognised"] == 2, "a repeat was counted");
    Ok(())
}

/// Certificates, a property, rules and the edge's configuration; gives the measurement id.
fn lay_out(root: &Path, sizes: Sizes) -> anyhow::Result<String> {
    let now_ms = SystemClock::shared().now_ms();
    let identities = [Identity::new(Role::Edge, "edge-1")?, Identity::new(Role::Hub, "hub-1")?];
    let tls = ensure_development(&root.join("tls"), &identities, now_ms)?;
    let created = NewProperty { name: "Shop".into(), ..NewProperty::default() }.create(now_ms)?;
    let copy = root.join("data").join(edge_agent::CONFIG_FILE);
    edge_copy(&copy, std::iter::once(created.property.clone()), &[])?;
    rehearse::salt_files(&root.join("data"), &configuration::salts::wanted(now_ms))?;
    std::fs::write(root.join("property_id"), &created.property.property_id)?;
    let assets = argument("--assets").map(PathBuf::from);
    let (rules, crawlers) = match assets {
        Some(assets) => (
            assets.join("uap-core/regexes.yaml"),
            assets.join("crawler-user-agents/crawler-user-agents.json"),
        ),
        None => {
            std::fs::write(root.join("regexes.yaml"), USER_AGENT_RULES)?;
            std::fs::write(root.join("crawlers.json"), r#"[{"pattern":"bot"}]"#)?;
            (root.join("regexes.yaml"), root.join("crawlers.json"))
        }
    };
    let mut config = Config {
        data_dir: root.join("data"),
        user_agent_rules: rules,
        crawler_list: crawlers,
        admin_listen: "127.0.0.1:0".parse()?,
        tls: tls.first().context("no certificate")?.clone(),
        ..Config::default()
    };
    config.collect.listen = "127.0.0.1:0".parse()?;
    // No hub: what is replayed stays in the outbox.
    config.ship.hubs = vec!["127.0.0.1:9".into()];
    config.process.limits.max_open_sessions = 2 * sizes.sessions.max(1);
    // Every id is remembered, so that the repeat of the very first is known.
    let ids = sizes.sessions + sizes.unprocessed_hits + 1_000;
    config.process.limits.id_window_bytes = ids * processing::deduplicate::BYTES_PER_ID;
    config.wal.max_bytes = 16 << 30;
    std::fs::write(root.join("edge.toml"), toml::to_string(&config)?)?;
    Ok(created.property.measurement_id.clone())
}

fn config_in(root: &Path) -> anyhow::Result<Config> {
    Ok(toml::from_str(&std::fs::read_to_string(root.join("edge.toml"))?)?)
}

fn fill_and_die(root: &Path, sizes: Sizes) -> anyhow::Result<()> {
    let config = config_in(root)?;
    let property_id = std::fs::read_to_string(root.join("property_id"))?;
    let now_ms = SystemClock::shared().now_ms();
    rehearse::fill(&config, &"edge-1".parse()?, &property_id, sizes, now_ms)?;
    Ok(raise(Signal::SIGKILL)?)
}

async fn measure(edge: &Path, root: &Path, measurement_id: &str, sizes: Sizes) -> anyhow::Result<Value> {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let begun = Instant::now();
    let mut child = Command::new(edge)
        .arg("--config")
        .arg(root.join("edge.toml"))
        .arg("--die-with-parent")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the edge")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    let to_ready = begun.elapsed();
    let ready: Value = serde_json::from_str(&line).context("the edge ended before it was ready")?;
    let url = |name: &str| ready[name].as_str().map(str::to_owned).context("no address in the ready line");
    let (collect, admin) = (url("collect")? + "/v1/collect", url("admin")? + "/status");
    post(&http, &collect, measurement_id, "a new hit").await?;
    let to_first_hit = begun.elapsed();
    post(&http, &collect, measurement_id, "hit-0").await?;
    post(&http, &collect, measurement_id, &format!("hit-{}", sizes.sessions)).await?;
    let at_first_hit = status(&http, &admin).await?;
    let counters = loop {
        let status = status(&http, &admin).await?;
        if status["services"][0]["queues"]["unprocessed_hits"]["length"] == 0 {
            break status["positions"][0]["counters"].clone();
        }
        tokio::time::sleep(POLL).await;
    };
    let to_end = begun.elapsed();
    let memory = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    child.kill()?;
    child.wait()?;
    let kib = |name: &str| {
        memory
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok())
    };
    Ok(json!({
        "open_sessions": sizes.sessions,
        "unprocessed_hits": sizes.unprocessed_hits,
        "seconds_to_ready": to_ready.as_secs_f64(),
        "seconds_to_first_acknowledged_hit": to_first_hit.as_secs_f64(),
        "replay_hits_at_first_acknowledged_hit": at_first_hit["services"][0]["queues"]["replay_hits"]["length"],
        "seconds_to_end_of_replay": to_end.as_secs_f64(),
        "repeats_recognised": counters["repeated"],
        "peak_memory_bytes": kib("VmHWM:").unwrap_or(0) * 1024,
    }))
}

/// Sends a hit with this id until it is acknowledged.
async fn post(http: &Http, url: &str, measurement_id: &str, id: &str) -> anyhow::Result<()> {
    let hit = json!({ "url": "https://example.com/", "id": id });
    let body = json!({ "measurement_id": measurement_id, "hits": [hit] }).to_string();
    loop {
        let request = hyper::Request::post(url)
            .header("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")
            .body(Full::new(Bytes::from(body.clone())))?;
        if http.request(request).await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
    }
}

async fn status(http: &Http, url: &str) -> anyhow::Result<Value> {
    let answer = http.request(hyper::Request::get(url).body(Full::default())?).await?;
    Ok(serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?)
}
