//! Creates and lists properties for the admin. gRPC and JSON both come through here.
//!
//! A property and its keys are durable, and in force at connected edges, before they are answered. Keys are in the answer only, except in development,
//! where `keys_dir` keeps them for `meridian import`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use configuration::replica::Records as _;
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use property::{CreateError, Created, KeyHash, NewProperty};
use prost::Message as _;
use proto::config::{Actor, StoredClaim, StoredKey};
use serde::Serialize;
use service::SharedClock;

use crate::admit::Admission;
use crate::authorize::{Authorizer, Caller, require_admin, write_private};
use crate::history::draft::Draft;
use crate::history::{Attribution, History, unreadable};
use crate::metrics::{Method, RequestMetrics};
use crate::refuse::{Code, Refusal};

/// Creates and lists properties.
#[derive(Clone)]
pub struct PropertyCalls {
    /// The global limit.
    pub admission: Admission,
    /// Keys.
    pub authorizer: Arc<Authorizer>,
    /// What is configured.
    pub history: History,
    /// When a property was made.
    pub clock: SharedClock,
    /// Where plain keys are kept, in development.
    pub keys_dir: Option<PathBuf>,
    /// Counts.
    pub metrics: RequestMetrics,
}

/// What a new property answers, and what `keys_dir` keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// `p_…`
    pub property_id: String,
    /// `M-…`
    pub measurement_id: String,
    /// `sk_…`
    pub api_secret: String,
    /// `rk_…`
    pub report_key: String,
}

impl PropertyCalls {
    /// Makes a property.
    pub async fn create(&self, headers: &HeaderMap, new: NewProperty) -> Result<Keys, Refusal> {
        let outcome = self.create_uncounted(headers, new).await;
        self.metrics.request(Method::CreateProperty, &outcome);
        outcome
    }

    /// All properties, by name, then id.
    pub async fn list(&self, headers: &HeaderMap) -> Result<Vec<NamedProperty>, Refusal> {
        let outcome = self.list_uncounted(headers).await;
        self.metrics.request(Method::ListProperties, &outcome);
        outcome
    }

    async fn create_uncounted(&self, headers: &HeaderMap, new: NewProperty) -> Result<Keys, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.authorizer.caller(headers)?;
        require_admin(&caller)?;
        let now_ms = self.clock.now_ms();
        let by = attribution(&caller, "CreateProperty");
        let keys = self.history.change(by, move |draft| create(draft, new.clone(), now_ms)).await?;
        if let Some(dir) = self.keys_dir.clone() {
            let kept = keys.clone();
            let keeping = tokio::task::spawn_blocking(move || keep(&dir, &kept)).await;
            // The property exists and its keys are in the answer: a convenience that failed is no refusal.
            if let Err(error) = keeping.map_err(std::io::Error::other).and_then(|kept| kept) {
                tracing::error!(%error, "the keys of the new property were not kept");
            }
        }
        tracing::info!(property_id = keys.property_id, "property created");
        Ok(keys)
    }

    async fn list_uncounted(&self, headers: &HeaderMap) -> Result<Vec<NamedProperty>, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers)?)?;
        let history = self.history.clone();
        let listed = tokio::task::spawn_blocking(move || list(&history)).await;
        listed.unwrap_or_else(|error| Err(unreadable(&error)))
    }
}

/// Who is written into the log.
pub(crate) fn attribution(caller: &Caller, method: &'static str) -> Attribution {
    let (kind, id) = match caller {
        Caller::Admin => ("admin_key", String::new()),
        Caller::Property(property) => ("report_key", property.property_id.clone()),
    };
    Attribution { actor: Actor { kind: kind.to_owned(), id }, method }
}

/// Draws until nobody has the ids: 60 and 50 random bits, so once is as good as always enough.
pub(crate) fn create(draft: &mut Draft<'_>, new: NewProperty, now_ms: u64) -> Result<Keys, Refusal> {
    loop {
        let created = new.clone().create(now_ms).map_err(|error| match error {
            CreateError::Invalid { field, value, problem } => Refusal::invalid(field, &value, problem),
            CreateError::Random(_) => {
                tracing::error!(%error, "a property could not be created");
                Refusal::new(Code::Internal, "the property could not be created; the log of the api says why")
            }
        })?;
        let Created { property, name, api_secret, report_key } = created;
        let property_id = property.property_id.clone();
        let keys = Keys {
            property_id: property_id.clone(),
            measurement_id: property.measurement_id.clone(),
            api_secret,
            report_key,
        };
        let claim = stored::measurement_id_key(&property.measurement_id);
        let key = stored::property_key(&property_id);
        if draft.value(&claim)?.is_some() || draft.value(&key)?.is_some() {
            continue;
        }
        draft.put(claim, StoredClaim { property_id: property_id.clone() }.encode_to_vec());
        let report_key = stored::report_key_key(&KeyHash::of(&keys.report_key));
        draft.put(report_key, StoredKey { property_id }.encode_to_vec());
        draft.put(
            key,
            stored::property_value(&NamedProperty { property, name, organisation_id: String::new() }),
        );
        return Ok(keys);
    }
}

fn list(history: &History) -> Result<Vec<NamedProperty>, Refusal> {
    let reader = history.read()?;
    let mut ids = Vec::new();
    let told = reader.for_each(stored::PROPERTY, &mut |key, _value| {
        ids.extend(key.strip_prefix(stored::PROPERTY).map(str::to_owned));
    });
    told.map_err(|error| unreadable(&error))?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.extend(stored::property(&reader, &id)?);
    }
    all.sort_by(|a, b| (&a.name, &a.property.property_id).cmp(&(&b.name, &b.property.property_id)));
    Ok(all)
}

fn keep(dir: &Path, keys: &Keys) -> std::io::Result<()> {
    let path = dir.join(format!("{}.json", keys.property_id));
    write_private(&path, &serde_json::to_vec_pretty(keys)?)?;
    durable::sync_name(&path)
}
