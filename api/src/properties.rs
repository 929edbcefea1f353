//! Creates and lists properties for the admin. gRPC and JSON both come through here.
//!
//! A property and its keys are durable before they are answered. Keys are in the answer only, except in development,
//! where `keys_dir` keeps them for `meridian import`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderMap;
use property::{CreateError, Created, NewProperty, Properties, Property};
use serde::Serialize;
use service::SharedClock;

use crate::admit::Admission;
use crate::authorize::{Authorizer, require_admin, write_private};
use crate::metrics::{Method, RequestMetrics};
use crate::refuse::{Code, Refusal};

/// Creates and lists properties.
#[derive(Clone)]
pub struct PropertyCalls {
    /// The global limit.
    pub admission: Admission,
    /// Keys.
    pub authorizer: Arc<Authorizer>,
    /// The files.
    pub properties: Arc<Properties>,
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
    pub async fn list(&self, headers: &HeaderMap) -> Result<Vec<Arc<Property>>, Refusal> {
        let outcome = self.list_uncounted(headers).await;
        self.metrics.request(Method::ListProperties, &outcome);
        outcome
    }

    async fn create_uncounted(&self, headers: &HeaderMap, new: NewProperty) -> Result<Keys, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers).await?)?;
        let (properties, keys_dir, now_ms) =
            (Arc::clone(&self.properties), self.keys_dir.clone(), self.clock.now_ms());
        let made =
            tokio::task::spawn_blocking(move || make(&properties, keys_dir.as_deref(), new, now_ms)).await;
        made.unwrap_or_else(|error| Err(internal(&error)))
    }

    async fn list_uncounted(&self, headers: &HeaderMap) -> Result<Vec<Arc<Property>>, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers).await?)?;
        let mut properties: Vec<_> = self.properties.snapshot().iter().map(Arc::new).collect();
        properties.sort_by(|a, b| (&a.name, &a.property_id).cmp(&(&b.name, &b.property_id)));
        Ok(properties)
    }
}

fn make(
    properties: &Properties,
    keys_dir: Option<&Path>,
    new: NewProperty,
    now_ms: u64,
) -> Result<Keys, Refusal> {
    let Created { property, api_secret, report_key } =
        properties.create(new, now_ms).map_err(|error| match error {
            CreateError::Invalid { field, value, problem } => Refusal::invalid(field, &value, problem),
            other => internal(&other),
        })?;
    let keys = Keys {
        property_id: property.property_id.clone(),
        measurement_id: property.measurement_id.clone(),
        api_secret,
        report_key,
    };
    if let Some(dir) = keys_dir {
        let path = dir.join(format!("{}.json", keys.property_id));
        let written = serde_json::to_vec_pretty(&keys)
            .map_err(std::io::Error::from)
            .and_then(|json| write_private(&path, &json))
            .and_then(|()| durable::sync_name(&path));
        // The property exists and its keys are in the answer: a convenience that failed is no refusal.
        if let Err(error) = written {
            tracing::error!(path = %path.display(), %error, "the keys of the new property were not kept");
        }
    }
    tracing::info!(property_id = keys.property_id, "property created");
    Ok(keys)
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a property could not be created");
    Refusal::new(Code::Internal, "the property could not be written; the log of the api says why")
}
