//! `warehouse-loader` as a process of its own, which stands still at a fail point when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use warehouse_loader::Config;

use crate::engine::{PATIENCE, are_loaded};
use crate::support::Edge;

const POLL: Duration = Duration::from_millis(5);

/// The process; killed when dropped.
pub(crate) struct LoaderProcess {
    directory: TempDir,
    child: Child,
    admin: String,
}

impl LoaderProcess {
    pub(crate) fn start(config: &Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (child, admin) = spawn(&directory, config);
        Self { directory, child, admin }
    }

    /// The same configuration and the same armed points.
    pub(crate) fn restart(&mut self, config: &Config) {
        self.child.wait().unwrap();
        (self.child, self.admin) = spawn(&self.directory, config);
    }

    fn file(&self, point: &str, state: &str) -> PathBuf {
        self.directory.path().join(format!("{point}.{state}"))
    }

    /// The next time that it passes `point`, it stands still, or dies.
    pub(crate) fn arm(&self, point: &str, what: &str) {
        // Whole from the beginning: the process may pass at any moment.
        std::fs::write(self.file(point, "arming"), what).unwrap();
        std::fs::rename(self.file(point, "arming"), self.file(point, "armed")).unwrap();
    }

    /// Waits until it stands still at `point`.
    pub(crate) async fn wait_stopped(&self, point: &str) {
        let stopped = || self.file(point, "fired").exists() && self.state() == 'T';
        wait(&format!("the loader stands still at {point}"), stopped).await;
        std::fs::remove_file(self.file(point, "fired")).unwrap();
    }

    /// Waits until it is dead of `point`.
    pub(crate) async fn wait_dead(&self, point: &str) {
        let dead = || self.file(point, "fired").exists() && self.state() == 'Z';
        wait(&format!("the loader is dead of {point}"), dead).await;
    }

    /// Lets it stand still at `point` when it passes there for the `nth` time from now on.
    pub(crate) async fn stop_at(&self, point: &str, nth: usize) {
        for pass in 1..=nth {
            self.wait_stopped(point).await;
            if pass < nth {
                self.arm(point, service::fail::STOP);
                self.wake();
            }
        }
    }

    pub(crate) fn wake(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    pub(crate) async fn wait_loaded(&self, edges: &[&Edge]) {
        let loaded = || are_loaded(&serde_json::from_str(&self.get("/status")).unwrap(), edges);
        wait("all loaded", loaded).await;
    }

    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics")
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next()).unwrap()
    }
}

impl Drop for LoaderProcess {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn wait(what: &str, reached: impl Fn() -> bool) {
    let poll = async {
        while !reached() {
            tokio::time::sleep(POLL).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "not reached: {what}");
}

fn spawn(directory: &TempDir, config: &Config) -> (Child, String) {
    let file = directory.path().join("loader.toml");
    std::fs::write(&file, toml::to_string(config).unwrap()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_warehouse-loader"))
        .arg("--config")
        .arg(&file)
        .arg("--die-with-parent")
        .env(service::fail::DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line =
        lines.next().expect("the loader ended before it was ready; its reason stands on stderr").unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    (child, ready["admin"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned())
}
