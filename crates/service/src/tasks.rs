//! The tasks and threads of a service, watched as one group.
//!
//! In: futures and thread bodies by name. Out: who ended how. A task that ends, fails or panics before shutdown began
//! cancels the group's token, so that the whole service stops instead of running on without a stage. After the token
//! is cancelled every task is expected to end by itself: the first stage stops accepting, the others see their channel
//! close, so that nothing accepted is left behind.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of one service.
#[derive(Debug)]
pub struct TaskGroup {
    ends: Ends,
    /// One per task; each gives the task's place in `running` when it has ended.
    watchers: JoinSet<usize>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    /// `None` for a thread, which cannot be aborted.
    abort: Option<AbortHandle>,
    ended: bool,
}

/// Where the ends of tasks are judged. A failure is on record before the token is cancelled because of it.
#[derive(Debug, Clone)]
struct Ends {
    shutdown: CancellationToken,
    failures: Arc<Mutex<Vec<TaskFailure>>>,
}

/// How one task went wrong.
#[derive(Debug, Clone)]
pub struct TaskFailure {
    /// The name it was spawned with.
    pub name: &'static str,
    /// What happened, as the end of a sentence that begins with the name.
    pub reason: String,
}

/// Every task that went wrong, in the order in which it was noticed; the first is usually the cause.
#[derive(Debug)]
pub struct TaskError {
    /// Never empty.
    pub failures: Vec<TaskFailure>,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}task {} {}", failure.name, failure.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for TaskError {}

impl TaskGroup {
    /// An empty group that cancels `shutdown` when a task ends too early.
    pub fn new(shutdown: CancellationToken) -> Self {
        let ends = Ends { shutdown, failures: Arc::default() };
        Self { ends, watchers: JoinSet::new(), running: Vec::new() }
    }

    /// Runs `future` as a task. Call inside the runtime.
    pub fn spawn(
        &mut self,
        name: &'static str,
        future: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let task = tokio::spawn(future);
        self.watch(name, Some(task.abort_handle()), async move {
            match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(panicked(error.into_panic().as_ref())),
                Err(_) => Err(anyhow!("was aborted")),
            }
        });
    }

    /// Runs `body` on an OS thread of its own, named `name`: for work that blocks or keeps a core busy.
    /// Call inside the runtime.
    pub fn spawn_blocking_thread(
        &mut self,
        name: &'static str,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) {
        let (sender, receiver) = oneshot::channel();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result =
                catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            // Nobody listens any more when the group was dropped: then nobody wants to know.
            let _unheard = sender.send(result);
        });
        self.watch(name, None, async move {
            match spawned {
                Ok(_detached) => receiver.await.unwrap_or_else(|_| Err(anyhow!("ended without a result"))),
                Err(error) => Err(anyhow!(error).context("its thread could not be started")),
            }
        });
    }

    fn watch(
        &mut self,
        name: &'static str,
        abort: Option<AbortHandle>,
        result: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let place = self.running.len();
        self.running.push(Running { name, abort, ended: false });
        let ends = self.ends.clone();
        self.watchers.spawn(async move {
            ends.record(name, result.await);
            place
        });
    }

    /// Waits until shutdown begins, or a task ends before it: then shutdown begins and the error names the task.
    pub async fn join(&mut self) -> Result<(), TaskError> {
        self.ends.shutdown.cancelled().await;
        self.ends.outcome()
    }

    /// Begins the shutdown if it has not begun, and waits up to `grace` for every task to end. The error names those
    /// that went wrong before or now, and those that did not end (tasks are then aborted, threads are left behind).
    pub async fn shutdown(mut self, grace: Duration) -> Result<(), TaskError> {
        self.ends.shutdown.cancel();
        let (watchers, running) = (&mut self.watchers, &mut self.running);
        let all_ended = async {
            while let Some(place) = watchers.join_next().await {
                // A watcher neither panics nor is aborted, and its place exists.
                if let Some(task) = place.ok().and_then(|place| running.get_mut(place)) {
                    task.ended = true;
                    tracing::debug!(task = task.name, "ended");
                }
            }
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            let reason = format!("did not end within {} ms of shutdown", grace.as_millis());
            for task in self.running.iter().filter(|task| !task.ended) {
                self.ends.push(TaskFailure { name: task.name, reason: reason.clone() });
            }
        }
        self.ends.outcome()
        // Dropping the group aborts what did not end.
    }

    /// Runs until shutdown begins or a task fails, then drains: [`TaskGroup::join`] and [`TaskGroup::shutdown`] in one.
    pub async fn run(mut self, grace: Duration) -> Result<(), TaskError> {
        if let Err(error) = self.join().await {
            tracing::error!(%error, "stopping");
        }
        self.shutdown(grace).await
    }
}

impl Ends {
    fn record(&self, name: &'static str, result: anyhow::Result<()>) {
        let reason = match result {
            Err(error) => Some(format!("failed: {error:#}")),
            Ok(()) if !self.shutdown.is_cancelled() => Some("ended before shutdown".to_owned()),
            Ok(()) => None,
        };
        if let Some(reason) = reason {
            self.push(TaskFailure { name, reason });
        }
        self.shutdown.cancel();
    }

    fn push(&self, failure: TaskFailure) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    fn outcome(&self) -> Result<(), TaskError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if failures.is_empty() { Ok(()) } else { Err(TaskError { failures }) }
    }
}

/// A group that is dropped without [`TaskGroup::shutdown`] (an early `?`) leaves no task running.
impl Drop for TaskGroup {
    fn drop(&mut self) {
        self.ends.shutdown.cancel();
        for abort in self.running.iter().filter_map(|task| task.abort.as_ref()) {
            abort.abort();
        }
    }
}

fn panicked(payload: &(dyn Any + Send)) -> anyhow::Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    anyhow!("panicked: {}", text.as_deref().unwrap_or("no message"))
}

#[cfg(test)]
mod tests;
