//! Fail points: named places where a test ends or stops the process, before and after each durable step.
//!
//! A test sets [`DIRECTORY`] to a directory and creates the file `NAME.armed` there. The process that passes the point
//! next renames it to `NAME.fired`, which only one can, and dies of SIGKILL: nothing it had begun goes on. If the file
//! says `stop`, it stands still instead (SIGSTOP), until the test wakes or kills it. [`hold`] keeps one thread at a place
//! while the others go on. Builds without debug assertions, which are those for users, contain nothing of this.

/// The environment variable with the directory.
pub const DIRECTORY: &str = "MERIDIAN_FAIL_POINTS";

/// What the file of an armed point says for the process to stand still.
pub const STOP: &str = "stop";

/// Ends or stops the process here if a test has armed this point.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use nix::sys::signal::{Signal, raise};

    static ARMED_IN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(directory) = ARMED_IN.get_or_init(|| std::env::var_os(DIRECTORY).map(PathBuf::from)) else {
        return;
    };
    let file = |state: &str| directory.join(format!("{name}.{state}"));
    if std::fs::rename(file("armed"), file("fired")).is_ok() {
        let stops = std::fs::read_to_string(file("fired")).is_ok_and(|text| text == STOP);
        let _ends_here = raise(if stops { Signal::SIGSTOP } else { Signal::SIGKILL });
    }
}

/// Waits here for as long as a test wants it: `NAME.held` in the directory is a named pipe, and the process goes on when
/// the test has opened its other end.
#[cfg(debug_assertions)]
pub fn hold(name: &'static str) {
    if let Some(directory) = std::env::var_os(DIRECTORY).map(std::path::PathBuf::from) {
        let pipe = directory.join(format!("{name}.held"));
        if pipe.exists() {
            // Opening one end of a pipe waits for the other (fifo(7)).
            let _opened = std::fs::File::open(pipe);
        }
    }
}

/// Nothing: fail points are for builds with debug assertions.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Nothing, likewise.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hold(_name: &'static str) {}
