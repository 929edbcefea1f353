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
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of one service.
#[derive(Debug)]
pub struct TaskGroup {
    shutdown: CancellationToken,
    watchers: JoinSet<Ended>,
    running: Vec<Running>,
    failures: Vec<TaskFailure>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    /// `None` for a thread, which cannot be aborted.
    abort: Option<AbortHandle>,
}

#[derive(Debug)]
struct Ended {
    name: &'static str,
    before_shutdown: bool,
    result: anyhow::Result<()>,
}

/// How one task went wrong.
#[derive(Debug)]
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
        Self { shutdown, watchers: JoinSet::new(), running: Vec::new(), failures: Vec::new() }
    }

    /// Runs `future` as a task. Call inside the runtime.
    pub fn spawn(
        &mut self,
        name: &'static str,
        future: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let task = tokio::spawn(future);
        self.running.push(Running { name, abort: Some(task.abort_handle()) });
        let shutdown = self.shutdown.clone();
        self.watchers.spawn(async move {
            let result = match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(panicked(error.into_panic().as_ref())),
                Err(_) => Err(anyhow!("was aborted")),
            };
            end(name, result, &shutdown)
        });
    }

    /// Runs `body` on an OS thread of its own, named `name`: for work that blocks or keeps a core busy.
    pub fn spawn_blocking_thread(
        &mut self,
        name: &'static str,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) {
        let (sender, receiver) = oneshot::channel();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            // Nobody listens any more when the group was dropped: then nobody wants to know.
            let _unheard = sender.send(result);
        });
        self.running.push(Running { name, abort: None });
        let shutdown = self.shutdown.clone();
        self.watchers.spawn(async move {
            let result = match spawned {
                Ok(_detached) => receiver.await.unwrap_or_else(|_| Err(anyhow!("ended without a result"))),
                Err(error) => Err(anyhow!(error).context("its thread could not be started")),
            };
            end(name, result, &shutdown)
        });
    }

    /// Waits until shutdown begins, or a task ends before it: then shutdown begins and the error names the task.
    pub async fn join(&mut self) -> Result<(), TaskError> {
        let shutdown = self.shutdown.clone();
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = self.watchers.join_next() => self.note(ended),
            }
        }
        // A task that ended too early cancelled the token before its report came.
        while let Some(ended) = self.watchers.try_join_next() {
            self.note(ended);
        }
        self.outcome()
    }

    /// Begins the shutdown if it has not begun, and waits up to `grace` for every task to end. The error names those
    /// that went wrong before or now, and those that did not end (tasks are then aborted, threads are left behind).
    pub async fn shutdown(mut self, grace: Duration) -> Result<(), TaskError> {
        self.shutdown.cancel();
        let all_ended = async {
            while let Some(ended) = self.watchers.join_next().await {
                self.note(ended);
            }
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            for task in self.running.drain(..) {
                if let Some(abort) = task.abort {
                    abort.abort();
                }
                let reason = format!("did not end within {} ms of shutdown", grace.as_millis());
                self.failures.push(TaskFailure { name: task.name, reason });
            }
        }
        self.outcome()
    }

    /// Runs until shutdown begins or a task fails, then drains: [`TaskGroup::join`] and [`TaskGroup::shutdown`] in one.
    pub async fn run(mut self, grace: Duration) -> Result<(), TaskError> {
        if let Err(error) = self.join().await {
            tracing::error!(%error, "stopping");
        }
        self.shutdown(grace).await
    }

    fn note(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // A watcher neither panics nor is aborted.
        let Ok(ended) = ended else { return };
        if let Some(index) = self.running.iter().position(|task| task.name == ended.name) {
            self.running.remove(index);
        }
        let reason = match (ended.result, ended.before_shutdown) {
            (Err(error), _) => format!("failed: {error:#}"),
            (Ok(()), true) => "ended before shutdown".to_owned(),
            (Ok(()), false) => {
                tracing::debug!(task = ended.name, "ended");
                return;
            }
        };
        self.failures.push(TaskFailure { name: ended.name, reason });
    }

    fn outcome(&mut self) -> Result<(), TaskError> {
        if self.failures.is_empty() {
            return Ok(());
        }
        Err(TaskError {
            failures: self
                .failures
                .iter()
                .map(|failure| TaskFailure { name: failure.name, reason: failure.reason.clone() })
                .collect(),
        })
    }
}

fn end(name: &'static str, result: anyhow::Result<()>, shutdown: &CancellationToken) -> Ended {
    let before_shutdown = !shutdown.is_cancelled();
    shutdown.cancel();
    Ended { name, before_shutdown, result }
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
