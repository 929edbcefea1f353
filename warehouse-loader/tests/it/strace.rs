//! The engine under `strace`, which makes it stand still after each of certain system calls: here it is killed after the
//! n-th of them, or woken.
//!
//! strace's own counter (`when=N`) counts for each thread, and the engine runs each statement on another one. So every
//! such call is followed by a SIGSTOP, before the next instruction of the thread that made it, and the calls are counted
//! by strace's lines, in the order in which they happen.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// Which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// A part that an INSERT or a mutation wrote gets its name. (Merges rename too, whenever they like.)
    Renames,
    /// A token is noted in the deduplication log of a table.
    LogWrites,
}

impl Calls {
    fn names(self) -> &'static str {
        match self {
            Self::Renames => "rename,renameat,renameat2",
            Self::LogWrites => "write,writev,pwrite64,pwritev,pwritev2",
        }
    }

    /// Whether a line of strace names what such a call is about.
    fn is_in(self, line: &str) -> bool {
        let paths: &[&str] = match self {
            Self::Renames => &["/tmp_insert_", "/tmp_mut_"],
            Self::LogWrites => &["/deduplication_logs/"],
        };
        paths.iter().any(|path| line.contains(path))
    }

    /// The call that a line says to be over; its beginning may have been another line.
    fn ended(self, begun: &mut BTreeMap<String, String>, line: &str) -> Option<String> {
        let (thread, call) = line.split_once(' ')?;
        if call.trim_start().starts_with("<... ") {
            return begun.remove(thread);
        }
        if !self.is_in(call) {
            return None;
        }
        if call.ends_with("<unfinished ...>") {
            begun.insert(thread.to_owned(), call.to_owned());
            return None;
        }
        Some(call.to_owned())
    }
}

#[derive(Debug, Default)]
struct Count {
    starts: u32,
    /// Calls since it was armed.
    seen: Vec<String>,
    kill_after: Option<usize>,
    killed: bool,
}

/// Counts the calls of an engine that is started again and again, and kills it when it is told to.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    calls: Calls,
    count: Arc<Mutex<Count>>,
}

impl Tracer {
    pub(crate) fn new(calls: Calls) -> Self {
        Self { calls, count: Arc::default() }
    }

    /// Counts from 0 again; the engine dies right after so many calls.
    pub(crate) fn arm(&self, kill_after: Option<usize>) {
        let mut count = self.lock();
        *count = Count { starts: count.starts, kill_after, ..Count::default() };
    }

    /// The calls since.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.lock().seen.clone()
    }

    /// Whether the engine was killed since.
    pub(crate) fn has_killed(&self) -> bool {
        self.lock().killed
    }

    /// The command that runs `engine` under strace, and where to follow it. The process that it starts is the engine
    /// itself (`-D`).
    pub(crate) fn command(&self, engine: &Path, directory: &Path) -> (Command, PathBuf) {
        let mut count = self.lock();
        count.starts += 1;
        let fifo = directory.join(format!("strace-{}.fifo", count.starts));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let names = self.calls.names();
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-y", "-qq", "--seccomp-bpf", "-s", "0", "-e", "signal=SIGSTOP"]);
        command.arg("-e").arg(format!("trace={names}"));
        command.arg("-e").arg(format!("inject={names}:signal=SIGSTOP"));
        command.arg("-o").arg(&fifo);
        if self.calls == Calls::LogWrites {
            for log in deduplication_logs(directory) {
                command.arg("-P").arg(log);
            }
        }
        command.arg("--").arg(engine);
        (command, fifo)
    }

    /// Counts the calls of the engine with this process id, until it ends.
    pub(crate) fn follow(&self, engine: u32, fifo: PathBuf) {
        let (tracer, engine) = (self.clone(), Pid::from_raw(i32::try_from(engine).unwrap()));
        std::thread::spawn(move || {
            // Calls that have begun, by thread.
            let mut begun = BTreeMap::new();
            // Waits until strace opens the other end.
            for line in BufReader::new(File::open(fifo).unwrap()).lines().map_while(Result::ok) {
                if let Some(call) = tracer.calls.ended(&mut begun, &line)
                    && tracer.is_last(call)
                {
                    // The thread that called stands still, or is about to.
                    kill(engine, Signal::SIGKILL).unwrap();
                    tracer.lock().killed = true;
                    return;
                }
                if line.contains("--- SIGSTOP {") {
                    let _gone = kill(engine, Signal::SIGCONT);
                }
            }
        });
    }

    /// Notes a call; whether it is the one to die after.
    fn is_last(&self, call: String) -> bool {
        let mut count = self.lock();
        count.seen.push(call);
        count.kill_after == Some(count.seen.len())
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap()
    }
}

/// The files in which tables keep their tokens.
fn deduplication_logs(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if folder.ends_with("deduplication_logs") {
                found.push(entry.path());
            }
        }
    }
    found
}
