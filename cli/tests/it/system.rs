//! A running `meridian dev`, and the commands that talk to it.
//!
//! In: options. Out: the fields of its ready line, its processes, its admin ports. It is stopped with SIGTERM when it is
//! dropped; when the test fails, the end of its log is shown. Only one runs at a time in this process.

pub(crate) mod accounts;
pub(crate) mod command;
pub(crate) mod process;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use meridian::http_client::{Answer, HttpClient};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The command under test.
pub(crate) const MERIDIAN: &str = env!("CARGO_BIN_EXE_meridian");
/// What `meridian dev` starts; cargo builds them beside it only when the whole workspace is built.
const SIBLINGS: [&str; 5] = ["edge-agent", "hub", "warehouse-loader", "api", "embedded-clickhouse"];
const READY_WITHIN: Duration = Duration::from_secs(180);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of the log shown when a test fails.
const SHOWN_LINES: usize = 80;

/// Two systems at once would only make both slow.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How `meridian dev` is started.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Each service a process of its own.
    pub(crate) processes: bool,
    /// Edges side by side.
    pub(crate) edges: u8,
    /// Hubs side by side.
    pub(crate) hubs: u8,
    /// Loaders side by side.
    pub(crate) loaders: u8,
    /// Apis side by side.
    pub(crate) apis: u8,
    /// The hub announces nothing.
    pub(crate) without_feed: bool,
    /// Between two batches of the edge.
    pub(crate) flush_interval_ms: u64,
    /// The services die where a test arms a fail point.
    pub(crate) fail_points: bool,
    /// By how much the services' wall clock is ahead of the test's.
    pub(crate) clock_ahead_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            processes: false,
            edges: 1,
            hubs: 1,
            loaders: 1,
            apis: 1,
            without_feed: false,
            flush_interval_ms: 300,
            fail_points: false,
            clock_ahead_s: 0,
        }
    }
}

/// A running system.
pub(crate) struct System {
    child: Child,
    ready: Value,
    events: Receiver<Value>,
    data: PathBuf,
    data_was_new: bool,
    clock_ahead_s: u64,
    log: PathBuf,
    client: HttpClient,
    runtime: tokio::runtime::Runtime,
    stopped: Option<ExitStatus>,
    _own_data: Option<TempDir>,
    _turn: MutexGuard<'static, ()>,
}

/// A new directory on the disk that the build uses: `/tmp` may be memory.
pub(crate) fn new_directory() -> TempDir {
    tempfile::Builder::new().prefix("system-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Rule files, location database and engine, as `meridian dev --assets` takes them.
pub(crate) fn assets() -> PathBuf {
    let path = std::env::var_os("MERIDIAN_ASSETS")
        .map_or_else(|| project("third-party/node_modules"), PathBuf::from);
    assert!(
        path.join("crawler-user-agents").is_dir(),
        "{} does not hold the packages that Meridian reads: run `make setup`, or set MERIDIAN_ASSETS",
        path.display()
    );
    path
}

impl System {
    /// Starts a system with a data directory of its own.
    pub(crate) fn start(options: &Options) -> Self {
        let directory = new_directory();
        let mut system = Self::start_in(directory.path(), options);
        system._own_data = Some(directory);
        system
    }

    /// Starts a system with this data directory; waits while another one runs.
    pub(crate) fn start_in(data: &Path, options: &Options) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        assert_siblings();
        let (log, data_was_new) = (data.join("log.txt"), !data.join("config").exists());
        let mut child = command_line(data, options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let events = read_events(&mut child);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut system = Self {
            child,
            ready: Value::Null,
            events,
            data: data.to_owned(),
            data_was_new,
            clock_ahead_s: options.clock_ahead_s,
            log,
            client: HttpClient::new(REQUEST_TIMEOUT),
            runtime,
            stopped: None,
            _own_data: None,
            _turn: turn,
        };
        match system.events.recv_timeout(READY_WITHIN) {
            Ok(event) if event["event"] == "ready" => system.ready = event,
            Ok(other) => panic!("its first line is not the ready line: {other}"),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended before it was ready"),
            Err(RecvTimeoutError::Timeout) => panic!("it was not ready within {READY_WITHIN:?}"),
        }
        system
    }

    /// A field of the ready line: `collect`, `grpc`, `api`, `admin`.
    pub(crate) fn address(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("the ready line has no {name}: {}", self.ready))
    }

    /// The ready line.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Whether it began with an empty data directory.
    pub(crate) fn data_was_new(&self) -> bool {
        self.data_was_new
    }

    /// By how much its wall clock is ahead of the test's.
    pub(crate) fn clock_ahead_s(&self) -> u64 {
        self.clock_ahead_s
    }

    /// What its wall clock says, unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        now_ms(self.clock_ahead_s)
    }

    /// Asks a client of the system's own to send a request.
    pub(crate) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// The process id of `meridian dev`.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Runs clients of the system.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// The next event line, if one comes in time.
    pub(crate) fn next_event(&self, within: Duration) -> Option<Value> {
        self.events.recv_timeout(within).ok()
    }

    /// GET.
    pub(crate) fn get(&self, url: &str) -> anyhow::Result<Answer> {
        self.runtime.block_on(self.client.send(Method::GET, url, &[], Bytes::new()))
    }

    /// GET of JSON.
    pub(crate) fn get_json(&self, url: &str) -> anyhow::Result<Value> {
        self.runtime.block_on(self.client.get_json(url))
    }

    /// Sends hits to the edge with these extra headers; gives status and body.
    pub(crate) fn collect(&self, body: &Value, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let url = format!("{}/v1/collect", self.address("collect"));
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let sent = self.client.send(Method::POST, &url, &all, Bytes::from(body.to_string()));
        let answer = self.runtime.block_on(sent).unwrap();
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Asks it to end with SIGTERM and waits for that.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.stopped {
            return status;
        }
        let _gone = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let deadline = Instant::now() + STOPPED_WITHIN;
        // Its standard output closes when it has ended.
        let closed = loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_event) => {}
                Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        if !closed {
            eprintln!("it did not end within {STOPPED_WITHIN:?} of SIGTERM: killing it");
            let _gone = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        self.stopped = Some(status);
        status
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let status = self.stop();
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!(
                "--- meridian dev ended with {status}; the last lines of its log:\n{}",
                lines[from..].join("\n")
            );
        }
    }
}

/// Unix milliseconds by a clock that is ahead.
pub(crate) fn now_ms(ahead_s: u64) -> i64 {
    jiff::Timestamp::now().as_millisecond() + i64::try_from(ahead_s).unwrap() * 1_000
}

/// The library that puts the clock of a process ahead, compiled once.
fn shifted_clock() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shifted_clock.so");
        let source = project("tests/shifted-clock/shifted_clock.c");
        let compiled =
            Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(compiled.is_ok_and(|status| status.success()), "cc does not compile {}", source.display());
        library
    })
}

fn command_line(data: &Path, options: &Options) -> Command {
    let mut command = Command::new(MERIDIAN);
    command::clean_environment(&mut command);
    command.arg("dev").arg("--data").arg(data).arg("--assets").arg(assets());
    command.args([
        "--http",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    command.args(["--flush-interval-ms", &options.flush_interval_ms.to_string()]);
    if options.processes {
        let numbers = [
            ("--edges", options.edges),
            ("--hubs", options.hubs),
            ("--loaders", options.loaders),
            ("--apis", options.apis),
        ];
        for (option, number) in numbers {
            command.args([option, &number.to_string()]);
        }
        command.arg("--processes");
    }
    if options.without_feed {
        command.arg("--without-feed");
    }
    if options.clock_ahead_s > 0 {
        command.env("LD_PRELOAD", shifted_clock());
        command.env("SHIFTED_CLOCK_S", options.clock_ahead_s.to_string());
    }
    if options.fail_points {
        command.env(service::fail::DIRECTORY, data);
    }
    command
}

fn assert_siblings() {
    let folder = Path::new(MERIDIAN).parent().unwrap();
    for name in SIBLINGS {
        let path = folder.join(name);
        assert!(path.is_file(), "{} is missing: run `make build` first", path.display());
    }
}

/// The lines of its standard output that are events, as they come; the channel closes with the output.
fn read_events(child: &mut Child) -> Receiver<Value> {
    let stdout = child.stdout.take().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(event) = serde_json::from_str(&line)
                && sender.send(event).is_err()
            {
                break;
            }
        }
    });
    receiver
}
