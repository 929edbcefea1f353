//! The real binary: ready line, a batch, SIGTERM, exit code 0, and the batch in the directory; SIGKILL and a new start.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use batch::Lane;
use identity::Role;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use store::StoreConfig;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use transport::{Endpoint, TransportConfig};

use crate::harness::{ANY_PORT, batch, config, connect, copies, files, lane};

async fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn write(directory: &TempDir, config: &hub::Config) -> PathBuf {
    let path = directory.path().join("hub.toml");
    std::fs::write(&path, toml::to_string(config).unwrap()).unwrap();
    path
}

/// The binary and its ready line.
async fn start(config: &Path) -> (Child, serde_json::Value) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_hub"))
        .arg("--config")
        .arg(config)
        .arg("--die-with-parent")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let ready = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    (process, ready)
}

#[tokio::test]
async fn killed_hub_that_is_started_again_ends_the_old_connections() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(files(&directory, Role::Hub, "h1"));
    config.data_dir = directory.path().join("data");
    config.store = StoreConfig::local(&directory.path().join("store")).unwrap();
    // Longer than the test, on both sides: the edge cannot find out by waiting.
    let quic = TransportConfig { keep_alive_ms: 100, idle_timeout_ms: 300_000, ..TransportConfig::default() };
    config.receive.quic = quic.clone();
    let (mut process, ready) = start(&write(&directory, &config)).await;
    config.receive.listen = ready["quic"].as_str().unwrap().parse().unwrap();
    let endpoint = Endpoint::new(&files(&directory, Role::Edge, "e1"), ANY_PORT, &quic).unwrap();
    let connection = endpoint.connect(config.receive.listen).await.unwrap();
    let (_sender, mut receiver) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    process.kill().await.unwrap();
    let (_process, _ready) = start(&write(&directory, &config)).await;
    let lost = receiver.next_ack().await.unwrap_err();
    assert_eq!(lost.to_string(), "the connection to the hub is lost: reset by peer");
    assert!(lost.is_retryable());
    endpoint.connect(config.receive.listen).await.unwrap();
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_0() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(files(&directory, Role::Hub, "h1"));
    config.data_dir = directory.path().join("data");
    // Longer than the test: only the drain can write the segment.
    config.segment.delay_ms = 3_600_000;
    config.shutdown_grace_ms = 3_700_000;
    config.store = StoreConfig::local(&directory.path().join("store")).unwrap();
    let path = write(&directory, &config);
    let (mut process, ready) = start(&path).await;
    assert_eq!((ready["event"].as_str(), ready["service"].as_str()), (Some("ready"), Some("hub")));
    assert!(ready["admin"].as_str().unwrap().starts_with("http://"), "{ready}");
    assert!(ready["mesh"].as_str().unwrap().starts_with("https://"), "{ready}");

    let quic = ready["quic"].as_str().unwrap().parse().unwrap();
    let connection = connect(&files(&directory, Role::Edge, "e1"), quic).await;
    let (mut sender, mut receiver) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    sender.send(&batch("e1", Lane::Rollup, 1)).await.unwrap();
    let admin = ready["admin"].as_str().unwrap().strip_prefix("http://").unwrap();
    while !metrics(admin).await.contains("hub_hits_queued 10\n") {}
    let pid = Pid::from_raw(process.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
    let store = store::open(&config.store).unwrap();
    assert_eq!(copies(store.as_ref(), "e1", Lane::Rollup, 1).await, 1);
}
