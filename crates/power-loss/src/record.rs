//! Runs work in a process of its own under `strace`, and takes down what it did.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::log::Log;
use crate::trace::{CALLS, Tracer};

/// Where the process that is recorded has its tree.
const ROOT: &str = "MERIDIAN_POWER_LOSS_ROOT";
/// Where it says its words.
const WORDS: &str = "MERIDIAN_POWER_LOSS_WORDS";

/// The tree of the work, if this process is the one that is recorded.
pub(crate) fn recorded_root() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

/// Says that the work begins with something else, by which its syncs are called.
pub fn step(name: &str) {
    say("step", name);
}

/// Says that from now on this must outlive a loss of power.
#[allow(clippy::needless_pass_by_value)] // calls read better without a `&` before each `format!`
pub fn acknowledged(what: String) {
    say("acknowledged", &what);
}

/// Silent in a process that is not recorded.
#[allow(clippy::panic)] // a test whose words are lost proves nothing
fn say(kind: &str, what: &str) {
    let Some(path) = std::env::var_os(WORDS) else { return };
    let line = format!("{kind} {what}\n");
    let said =
        OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = said {
        panic!("{line:?} could not be said: {error}");
    }
}

/// Runs `test` of this program as the process that does the work in `root`, and adds what it did to `log`.
pub(crate) fn record(log: &mut Log, test: &str, root: &Path) -> anyhow::Result<()> {
    let outside = tempfile::tempdir()?;
    let (trace, words) = (outside.path().join("trace"), outside.path().join("words"));
    std::fs::File::create(&words)?;
    let output = Command::new("strace")
        .args([
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-xx",
            "-s",
            "16777216",
            "-e",
            "signal=none",
            "-e",
            "raw=read,lseek",
        ])
        .arg("-e")
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .env(WORDS, &words)
        .stdin(Stdio::null())
        .output()
        .context("strace cannot be run; scripts/setup.sh test installs it")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.contains("1 passed"),
        "the work failed: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let trace = std::fs::read_to_string(trace)?;
    let name = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not text");
    Tracer::new(log, &name(root)?, &name(&words)?).follow(&trace)
}
