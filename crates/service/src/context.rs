//! What a service gets from its shell beside its configuration.
//!
//! A [`Context`] is cheap to clone. A service sets its readiness and says that it is ready through it, whether it runs
//! as a process of its own (a line on stdout) or inside `meridian dev` (a callback). After shutdown has begun a service
//! never reads as ready.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::admin::StatusFn;
use crate::announce::ready_line;
use crate::clock::SharedClock;
use crate::metrics::SharedRegistry;

/// Called once when the service is ready, with its name and the fields of its ready line.
pub type OnReady = Arc<dyn Fn(&'static str, Map<String, Value>) -> std::io::Result<()> + Send + Sync>;

/// The handles a service runs with.
#[derive(Clone)]
pub struct Context {
    /// Where time comes from.
    pub clock: SharedClock,
    /// Cancelled when the service is to stop: stop accepting, then end by channel close.
    pub shutdown: CancellationToken,
    /// Where the stages register their metrics; `/metrics` shows it.
    pub registry: SharedRegistry,
    /// What `/readyz` answers.
    pub readiness: Readiness,
    on_ready: OnReady,
    status: Arc<OnceLock<StatusFn>>,
}

impl Context {
    /// The context of a process of its own: ready lines go to stdout.
    pub fn new(clock: SharedClock) -> Self {
        let shutdown = CancellationToken::new();
        Self {
            clock,
            readiness: Readiness::new(shutdown.clone()),
            shutdown,
            registry: SharedRegistry::default(),
            on_ready: Arc::new(|service, fields| ready_line(service, &fields)),
            status: Arc::default(),
        }
    }

    /// A context for one of several services in this process: the same clock and registry, a shutdown of its own
    /// that the parent's shutdown includes, a readiness of its own, and `on_ready` in place of the line on stdout.
    pub fn child(&self, on_ready: OnReady) -> Self {
        let shutdown = self.shutdown.child_token();
        Self {
            clock: self.clock.clone(),
            readiness: Readiness::new(shutdown.clone()),
            shutdown,
            registry: self.registry.clone(),
            on_ready,
            status: Arc::default(),
        }
    }

    /// Turns `/readyz` to 200 and says so with `fields` (`{"admin": URL, …}`): on stdout, or to `meridian dev`.
    pub fn announce_ready(&self, service: &'static str, fields: Map<String, Value>) -> std::io::Result<()> {
        self.readiness.set_ready();
        (self.on_ready)(service, fields)
    }

    /// Sets what `/status` answers; the first one given stays. [`crate::admin::AdminServer::start`] calls it.
    pub fn set_status(&self, status: StatusFn) {
        let _already_set = self.status.set(status);
    }

    /// The service's present status; `None` until it has set one. `meridian dev` reads its services' here.
    pub fn status(&self) -> Option<Value> {
        self.status.get().map(|status| status())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("clock", &self.clock)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

/// Whether the service takes work. Clones share the state.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Why the service is not ready; `None` when it is.
    obstacle: Arc<Mutex<Option<String>>>,
    shutdown: CancellationToken,
}

impl Readiness {
    /// Not ready ("starting") until told otherwise, and never again after `shutdown` is cancelled.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { obstacle: Arc::new(Mutex::new(Some("starting".into()))), shutdown }
    }

    /// The service takes work.
    pub fn set_ready(&self) {
        self.set(None);
    }

    /// The service takes no work for now; `reason` is what `/readyz` says.
    pub fn set_not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// `Ok` when ready, else the reason.
    pub fn check(&self) -> Result<(), String> {
        if self.shutdown.is_cancelled() {
            return Err("shutting down".into());
        }
        match &*self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }

    fn set(&self, obstacle: Option<String>) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle;
    }
}

#[cfg(test)]
mod tests;
