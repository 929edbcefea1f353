//! A service as a process: exit codes, signals, the ready line, and dying with its parent.
#![allow(clippy::unwrap_used)] // clippy's exemption for tests does not reach helper functions of an integration test

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The example `minimal`, which cargo builds beside the tests.
fn minimal() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples/minimal");
    assert!(path.exists(), "{} is missing: run `cargo build -p service --examples`", path.display());
    path
}

fn run(arguments: &[&str]) -> Output {
    Command::new(minimal()).args(arguments).output().unwrap()
}

/// Writes a configuration and returns its directory and path.
fn configuration(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("minimal.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

/// Starts the service and waits for its ready line.
fn start(path: &str) -> (Child, serde_json::Value) {
    let mut child = Command::new(minimal())
        .args(["--config", path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Reads lines of the log until one contains `text`.
fn wait_for_log(stderr: &mut BufReader<ChildStderr>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the log ended without {text:?}");
    }
}

#[test]
fn printed_default_configuration_passes_its_check() {
    let printed = run(&["--print-default-config"]);
    assert!(printed.status.success());
    let (_directory, path) = configuration(std::str::from_utf8(&printed.stdout).unwrap());
    let checked = run(&["--config", &path, "--check-config"]);
    assert_eq!((checked.status.code(), checked.stdout, checked.stderr), (Some(0), vec![], vec![]));
}

#[test]
fn wrong_configuration_exits_2_with_one_sentence() {
    assert_eq!(run(&[]).status.code(), Some(2));
    for (text, expected) in [
        ("", "is empty"),
        ("grace = 1\n", "unknown field `grace`"),
        ("grace_ms = 0\n", "grace_ms is 0"),
        ("grace_ms = \"1\"\n", "line 1, grace_ms"),
    ] {
        let (_directory, path) = configuration(text);
        for arguments in [vec!["--config", &path], vec!["--config", &path, "--check-config"]] {
            let output = run(&arguments);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text:?}: {stderr}");
            assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{text:?}: {stderr}");
        }
    }
}

#[test]
fn failing_task_exits_1_and_is_named() {
    let (_directory, path) = configuration("mode = \"fail\"\n");
    let output = run(&["--config", &path]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.lines().last().unwrap() == "minimal: task work failed: told to fail", "{stderr}");
}

#[test]
fn sigterm_and_sigint_drain_and_exit_0() {
    let (_directory, path) = configuration("grace_ms = 600000\n");
    for kind in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut child, ready) = start(&path);
        assert_eq!((&ready["event"], &ready["service"]), (&"ready".into(), &"minimal".into()));
        assert!(ready["admin"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{ready}");
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{kind}");
    }
}

#[test]
fn second_signal_exits_at_once_with_130() {
    let (_directory, path) = configuration("mode = \"hang\"\n");
    let (mut child, _ready) = start(&path);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    signal(&child, Signal::SIGTERM);
    wait_for_log(&mut stderr, "signal received");
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn drain_that_outlasts_the_grace_time_exits_1_and_names_the_task() {
    let (_directory, path) = configuration("mode = \"hang\"\ngrace_ms = 1\n");
    let (mut child, _ready) = start(&path);
    signal(&child, Signal::SIGTERM);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(stderr.contains("task work did not end within 1 ms of shutdown"), "{stderr}");
}

#[test]
fn service_dies_with_its_parent() {
    let (_directory, path) = configuration("mode = \"hang\"\n");
    // The shell is the parent; `wait` keeps it from replacing itself by the service.
    let script = "\"$0\" --config \"$1\" --die-with-parent & wait";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(minimal())
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("\"ready\""), "{line}");
    signal(&shell, Signal::SIGKILL);
    shell.wait().unwrap();
    // The service holds the other end of the pipe: it reads as ended when the service is gone.
    line.clear();
    assert_eq!(stdout.read_line(&mut line).unwrap(), 0);
}
