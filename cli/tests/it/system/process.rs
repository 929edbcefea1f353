//! The services of a system as processes: found in `/proc`, stopped and killed by signals, asked over their admin ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::System;

const POLL: Duration = Duration::from_millis(20);

/// A process that was stopped (SIGSTOP) and goes on when this is dropped, unless it was killed.
#[derive(Debug)]
pub(crate) struct Stopped {
    pid: Pid,
}

impl Stopped {
    /// Stops a process and waits until all of it stands still. `None`: it is gone.
    pub(crate) fn stop(pid: i32) -> Option<Self> {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).ok()?;
        let stopped = Self { pid: Pid::from_raw(pid) };
        let stands = wait_for(Duration::from_secs(10), || match state_of(pid) {
            None | Some('Z') => Some(false),
            Some('T') => Some(true),
            Some(_) => None,
        });
        (stands == Some(true)).then_some(stopped)
    }

    /// Kills it as it stands: nothing it had begun goes on.
    pub(crate) fn kill(self) {
        kill(self.pid, Signal::SIGKILL).unwrap();
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _gone = kill(self.pid, Signal::SIGCONT);
    }
}

/// Asks until there is an answer or the time is over.
pub(crate) fn wait_for<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// Whether a process with this id runs (a zombie does not).
pub(crate) fn is_running(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z')
}

impl System {
    /// Process ids of the children by the name of their configuration file (`edge`, `hub`, `loader`, …).
    pub(crate) fn children(&self) -> BTreeMap<String, i32> {
        let mut children = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if parent_of(pid) == Some(self.pid())
                && let Some(name) = configuration_of(pid)
            {
                children.insert(name, pid);
            }
        }
        children
    }

    /// The admin address of a child, from its configuration file.
    pub(crate) fn admin_of(&self, child: &str) -> String {
        let address = self.configuration(child)["admin_listen"].as_str().map(str::to_owned);
        format!("http://{}", address.unwrap_or_else(|| panic!("{child} has no admin_listen")))
    }

    /// The configuration file of a child.
    pub(crate) fn configuration(&self, child: &str) -> toml::Table {
        toml::from_str(&std::fs::read_to_string(self.configuration_file(child)).unwrap()).unwrap()
    }

    /// Changes the configuration file of a child; it reads it when it starts again.
    pub(crate) fn configure(&self, child: &str, change: impl FnOnce(&mut toml::Table)) {
        let mut table = self.configuration(child);
        change(&mut table);
        std::fs::write(self.configuration_file(child), toml::to_string(&table).unwrap()).unwrap();
    }

    fn configuration_file(&self, child: &str) -> PathBuf {
        self.data().join("config").join(format!("{child}.toml"))
    }

    /// Where each edge accepts hits.
    pub(crate) fn collect_urls(&self) -> Vec<String> {
        let edges = self.ready()["pids"].as_object().unwrap().keys().filter(|name| name.starts_with("edge"));
        edges
            .map(|edge| {
                let listen = self.configuration(edge)["collect"]["listen"].as_str().unwrap().to_owned();
                format!("http://{listen}/v1/collect")
            })
            .collect()
    }

    /// Asks a child to end (SIGTERM); it is started again. Waits until it is ready.
    pub(crate) fn restart_gracefully(&self, child: &str) {
        let pid = self.children()[child];
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        self.wait_until_ready_again(child, pid);
    }

    /// Sum of the samples of a metric of a child; `None` if it cannot be asked or has no such metric.
    pub(crate) fn metric_of(&self, child: &str, name: &str) -> Option<u64> {
        let answer = self.get(&format!("{}/metrics", self.admin_of(child))).ok()?;
        sum_of_samples(std::str::from_utf8(&answer.body).ok()?, name)
    }

    /// Waits until a child runs under another process id than `old` and says that it is ready.
    pub(crate) fn wait_until_ready_again(&self, child: &str, old: i32) {
        let url = format!("{}/readyz", self.admin_of(child));
        let ready = wait_for(Duration::from_secs(120), || {
            self.children().get(child).filter(|pid| **pid != old)?;
            self.get(&url).ok().filter(|answer| answer.status == StatusCode::OK)
        });
        assert!(ready.is_some(), "{child} was not ready again within two minutes after it was killed");
    }
}

/// Adds up `name 1` and `name{…} 2` in the Prometheus text format; figures here are whole.
pub(crate) fn sum_of_samples(text: &str, name: &str) -> Option<u64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value =
            rest.strip_prefix(' ').or_else(|| rest.starts_with('{').then(|| rest.rsplit(' ').next())?)?;
        value.parse::<u64>().ok()
    });
    let samples: Vec<u64> = samples.collect();
    (!samples.is_empty()).then(|| samples.iter().sum())
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything.
fn stat_of(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

fn state_of(pid: i32) -> Option<char> {
    stat_of(pid)?.chars().next()
}

fn parent_of(pid: i32) -> Option<i32> {
    stat_of(pid)?.split(' ').nth(1)?.parse().ok()
}

/// The stem of what follows `--config` in the command line of a process.
fn configuration_of(pid: i32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.find(|argument| *argument == b"--config")?;
    let path = std::str::from_utf8(arguments.next()?).ok()?;
    Some(Path::new(path).file_stem()?.to_str()?.to_owned())
}
