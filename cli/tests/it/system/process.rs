//! The services of a system as processes: found in `/proc`, stopped and killed by signals, asked over their admin ports.

use std::collections::BTreeMap;
use std::path::Path;
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
        let path = self.data().join("config").join(format!("{child}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let address = find_text(&table, "admin_listen");
        format!("http://{}", address.unwrap_or_else(|| panic!("{} has no admin_listen", path.display())))
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

fn find_text(table: &toml::Table, name: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| match value {
        toml::Value::String(text) if key == name => Some(text.clone()),
        toml::Value::Table(inner) => find_text(inner, name),
        _ => None,
    })
}

/// Adds up `name 1` and `name{…} 2` in the Prometheus text format; figures here are whole.
fn sum_of_samples(text: &str, name: &str) -> Option<u64> {
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
