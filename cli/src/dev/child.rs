//! A service as a child process: started, watched, started again when it dies.
//!
//! In: a binary and its arguments. Out: an event when it is ready (with its pid and the fields of its ready line) and
//! when it ended. Each child has a thread of its own, which lives as long as the child is wanted: the kernel kills the
//! child when the *thread* that started it ends. Children are in process groups of their own, so that Ctrl-C in a
//! terminal reaches only the parent, which stops them in order.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

/// Pause before a dead child is started again; doubles while it dies before it is ready.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// No child is running.
const NO_PID: i32 = 0;

/// What to start.
#[derive(Debug, Clone)]
pub struct Program {
    /// Name in events: `edge`, `hub`, `loader`, `api`, `warehouse`.
    pub service: &'static str,
    /// The binary.
    pub binary: PathBuf,
    /// Its configuration.
    pub config_file: PathBuf,
}

/// What happened to a child.
#[derive(Debug)]
pub enum Event {
    /// It printed its ready line.
    Ready {
        /// Which.
        service: &'static str,
        /// Its process id.
        pid: i32,
        /// The fields of its ready line.
        fields: Map<String, Value>,
    },
    /// It ended, was ended, or could not be started.
    Ended {
        /// Which.
        service: &'static str,
        /// How, as the end of a sentence that begins with the name.
        how: String,
    },
}

/// A running child and the thread that watches it.
#[derive(Debug)]
pub struct Child {
    service: &'static str,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    pid: AtomicI32,
    unwanted: AtomicBool,
    pause: Mutex<Duration>,
    woken: Condvar,
}

impl Child {
    /// Starts the program and keeps it running. Events go to `events`; a full channel makes the watcher wait.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn keep_running(program: Program, events: mpsc::Sender<Event>) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            pid: AtomicI32::new(NO_PID),
            unwanted: AtomicBool::new(false),
            pause: Mutex::new(FIRST_PAUSE),
            woken: Condvar::new(),
        });
        let service = program.service;
        let watched = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name(format!("watch-{service}"))
            .spawn(move || watch(&program, &watched, &events))
            .context("cannot start a thread")?;
        Ok(Self { service, state, thread })
    }

    /// Which service it is.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Asks the child to drain and waits until it has ended, however long that takes.
    ///
    /// # Errors
    /// When its watcher panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.state.unwanted.store(true, Ordering::SeqCst);
        self.state.woken.notify_all();
        let pid = self.state.pid.load(Ordering::SeqCst);
        if pid != NO_PID {
            // It may have ended by itself just now: then there is nobody to tell.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let service = self.service;
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.join())
            .await?
            .map_err(|_| anyhow!("the watcher of {service} panicked"))
    }
}

fn watch(program: &Program, state: &State, events: &mpsc::Sender<Event>) {
    while !state.unwanted.load(Ordering::SeqCst) {
        let how = match run_once(program, state, events) {
            Ok(how) => how,
            Err(error) => format!("could not be started: {error:#}"),
        };
        state.pid.store(NO_PID, Ordering::SeqCst);
        if events.blocking_send(Event::Ended { service: program.service, how }).is_err() {
            return;
        }
        let mut pause = state.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = *pause;
        *pause = (wait * 2).min(LONGEST_PAUSE);
        let unwanted = |_: &mut Duration| !state.unwanted.load(Ordering::SeqCst);
        let _woken = state.woken.wait_timeout_while(pause, wait, unwanted);
    }
}

/// Runs the child to its end and says how it ended.
fn run_once(program: &Program, state: &State, events: &mpsc::Sender<Event>) -> anyhow::Result<String> {
    let mut child = Command::new(&program.binary)
        .arg("--config")
        .arg(&program.config_file)
        .arg("--die-with-parent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} does not run; build it with `make build`", program.binary.display()))?;
    let pid = i32::try_from(child.id()).context("process id out of range")?;
    state.pid.store(pid, Ordering::SeqCst);
    if state.unwanted.load(Ordering::SeqCst) {
        // `stop` ran between the check and the start, and saw no pid.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let stdout = child.stdout.take().context("no standard output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("its standard output broke")?;
        if let Some(fields) = ready_fields(&line) {
            *state.pause.lock().unwrap_or_else(PoisonError::into_inner) = FIRST_PAUSE;
            let _nobody_listens =
                events.blocking_send(Event::Ready { service: program.service, pid, fields });
        }
    }
    let status = child.wait().context("cannot wait for it")?;
    Ok(format!("ended with {status}"))
}

/// The fields of `{"event":"ready",…}`; `None` for any other line.
fn ready_fields(line: &str) -> Option<Map<String, Value>> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    (fields.get("event").and_then(Value::as_str) == Some("ready")).then_some(fields)
}
