//! How every call about the configuration goes: admitted, its caller found, decided, counted.
//!
//! In: headers, and what to read or to change. Out: the answer. A change is decided on the newest state, and so is who may make it: a
//! member that was removed, or a key that was revoked, changes nothing more, however long the change waited. gRPC and JSON both come
//! through here.

use std::path::PathBuf;
use std::sync::Arc;

use configuration::replica::{Reader, Records};
use configuration::stored::NamedProperty;
use configuration::stored::access::Organisation;
use http::HeaderMap;
use property::Quota;
use proto::config::Actor;
use service::SharedClock;

use crate::admit::Admission;
use crate::authorize::{Action, Authorizer, Caller, Place, denied};
use crate::erasures::Erasing;
use crate::history::draft::Draft;
use crate::history::{Attribution, History, unreadable};
use crate::metrics::{Method, RequestMetrics};
use crate::refuse::Refusal;
use crate::retention::RetentionConfig;

/// What calls about the configuration need.
#[derive(Clone)]
pub struct ConfigCalls {
    /// The global limit.
    pub admission: Admission,
    /// Keys.
    pub authorizer: Arc<Authorizer>,
    /// What is configured.
    pub history: History,
    /// When something was made, and when it ends.
    pub clock: SharedClock,
    /// The quota of a new property, if nobody says.
    pub usual_quota: Quota,
    /// Where plain keys are kept, in development.
    pub keys_dir: Option<PathBuf>,
    /// How long new properties keep what was counted.
    pub retention: RetentionConfig,
    /// How data goes.
    pub erasing: Erasing,
    /// Counts.
    pub metrics: RequestMetrics,
}

/// A caller, and what decides about it.
pub(crate) struct Access {
    authorizer: Arc<Authorizer>,
    /// Who calls.
    pub(crate) caller: Caller,
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
}

impl Access {
    /// The property, if the caller may do this to it.
    pub(crate) fn property(
        &self,
        records: &dyn Records,
        action: Action,
        property_id: &str,
    ) -> Result<NamedProperty, Refusal> {
        self.authorizer.property(records, &self.caller, action, property_id)
    }

    /// The organisation, if the caller may do this there; an empty id means the caller's own.
    pub(crate) fn organisation(
        &self,
        records: &dyn Records,
        action: Action,
        organisation_id: &str,
    ) -> Result<Organisation, Refusal> {
        self.authorizer.organisation(records, &self.caller, action, organisation_id)
    }

    /// The organisation's id, if the caller may do this there; an empty id means the caller's own, and with the admin key the operator's.
    pub(crate) fn organisation_id(
        &self,
        records: &dyn Records,
        action: Action,
        organisation_id: &str,
    ) -> Result<String, Refusal> {
        if organisation_id.is_empty() && self.caller == Caller::Admin {
            return Ok(String::new());
        }
        Ok(self.organisation(records, action, organisation_id)?.organisation_id)
    }

    /// Whether the caller may do this in exactly this organisation; empty: the operator's.
    pub(crate) fn allows_in(&self, action: Action, organisation_id: &str) -> bool {
        self.authorizer.allows_in(&self.caller, action, organisation_id)
    }

    /// Whether the caller may do this there.
    pub(crate) fn allows_at(&self, action: Action, organisation_id: &str, property_id: Option<&str>) -> bool {
        self.authorizer.allows_at(&self.caller, action, Place { organisation_id, property_id })
    }

    /// A refusal that is the same whether the thing is another's or is not there.
    pub(crate) fn denied(&self, action: Action, field: &str, value: &str) -> Refusal {
        denied(&self.caller, action, field, value)
    }

    /// Refuses who may do this nowhere.
    pub(crate) fn somewhere(&self, action: Action) -> Result<(), Refusal> {
        self.authorizer.somewhere(&self.caller, action)
    }

    /// Refuses who may not do this to what belongs to no organisation.
    pub(crate) fn operator(&self, action: Action) -> Result<(), Refusal> {
        self.authorizer.operator(&self.caller, action)
    }

    /// Whether the caller may do this to a property.
    pub(crate) fn allows(&self, action: Action, named: &NamedProperty) -> bool {
        self.authorizer.allows_property(&self.caller, action, named)
    }

    /// The organisation that the caller's lists are made of; `None`: all.
    pub(crate) fn own_organisation(&self) -> Option<&str> {
        match &self.caller {
            Caller::Admin => None,
            Caller::Member { organisation_id, .. } | Caller::Reports { organisation_id, .. } => {
                Some(organisation_id)
            }
        }
    }
}

impl ConfigCalls {
    /// Reads the state in force, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        method: Method,
        headers: &HeaderMap,
        read: impl FnOnce(&Reader<'_>, &Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let outcome = self.read_uncounted(headers, read).await;
        self.metrics.request(method, &outcome);
        outcome
    }

    /// The same for who counts it as part of more.
    pub(crate) async fn read_uncounted<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        read: impl FnOnce(&Reader<'_>, &Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _place = self.admission.enter()?;
        let credential = self.authorizer.credential(headers)?;
        let calls = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let reader = calls.history.read()?;
            let caller = calls.authorizer.admit_in(&reader, credential)?;
            read(&reader, &calls.access(caller))
        });
        reading.await.unwrap_or_else(|error| Err(unreadable(&error)))
    }

    /// Makes a change.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        method: Method,
        headers: &HeaderMap,
        make: impl FnMut(&mut Draft<'_>, &Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let outcome = self.change_uncounted(method, headers, make).await;
        self.metrics.request(method, &outcome);
        outcome
    }

    async fn change_uncounted<T: Send + 'static>(
        &self,
        method: Method,
        headers: &HeaderMap,
        mut make: impl FnMut(&mut Draft<'_>, &Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _place = self.admission.enter()?;
        let credential = self.authorizer.credential(headers)?;
        let caller = self.authorizer.admit_in(&self.history.read()?, credential)?;
        let by = attribution(&caller, method.rpc());
        let calls = self.clone();
        let decide = move |draft: &mut Draft<'_>| {
            let caller = calls.authorizer.caller_in(draft, credential)?;
            make(draft, &calls.access(caller))
        };
        self.history.change(by, decide).await
    }

    fn access(&self, caller: Caller) -> Access {
        Access { authorizer: Arc::clone(&self.authorizer), caller, now_ms: self.clock.now_ms() }
    }
}

/// Who is written into the log.
fn attribution(caller: &Caller, method: &'static str) -> Attribution {
    let (kind, id) = match caller {
        Caller::Admin => ("admin_key", String::new()),
        Caller::Member { member_id, .. } => ("member", member_id.clone()),
        Caller::Reports { key_id, .. } => ("report_key", key_id.clone()),
    };
    Attribution { actor: Actor { kind: kind.to_owned(), id }, method }
}

#[cfg(test)]
mod tests;
