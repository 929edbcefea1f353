//! Claims, gives up and lists aliases: what other products call a site. For the admin; gRPC and JSON both come through here.
//!
//! An alias is durable before it is answered. One that another property has is refused with the name of that property, for the admin
//! may see all of them.

use std::sync::Arc;

use http::HeaderMap;
use property::{Alias, AliasError, OwnedAlias, Properties};
use protocol::Protocol;

use crate::authorize::require_admin;
use crate::metrics::Method;
use crate::properties::PropertyCalls;
use crate::refuse::{Code, Refusal};

impl PropertyCalls {
    /// Claims an alias; gives it as it is looked up.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound` for the property, `AlreadyExists` when another one has it.
    pub async fn add_alias(&self, headers: &HeaderMap, wanted: OwnedAlias) -> Result<OwnedAlias, Refusal> {
        let outcome = self.change_alias(headers, wanted, |properties, owned| {
            if properties.snapshot().by_id(&owned.property_id).is_none() {
                let problem = "which no property has; `meridian property list` shows them";
                return Err(Refusal {
                    code: Code::NotFound,
                    ..Refusal::invalid("property_id", &owned.property_id, problem)
                });
            }
            properties.claim_alias(owned).map_err(|error| refuse(&error))
        });
        let outcome = outcome.await;
        self.metrics.request(Method::AddAlias, &outcome);
        outcome
    }

    /// Gives an alias up.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`.
    pub async fn remove_alias(&self, headers: &HeaderMap, unwanted: OwnedAlias) -> Result<(), Refusal> {
        let outcome = self.change_alias(headers, unwanted, |properties, owned| {
            properties.release_alias(owned).map_err(|error| refuse(&error))
        });
        let outcome = outcome.await.map(drop);
        self.metrics.request(Method::RemoveAlias, &outcome);
        outcome
    }

    /// Aliases of a property; of all when the id is empty.
    ///
    /// # Errors
    /// Without the admin key.
    pub async fn list_aliases(
        &self,
        headers: &HeaderMap,
        property_id: &str,
    ) -> Result<Vec<OwnedAlias>, Refusal> {
        let outcome = self.list_aliases_uncounted(headers, property_id).await;
        self.metrics.request(Method::ListAliases, &outcome);
        outcome
    }

    async fn list_aliases_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
    ) -> Result<Vec<OwnedAlias>, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers).await?)?;
        Ok(self.properties.aliases((!property_id.is_empty()).then_some(property_id)))
    }

    async fn change_alias(
        &self,
        headers: &HeaderMap,
        owned: OwnedAlias,
        change: impl FnOnce(&Properties, &OwnedAlias) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<OwnedAlias, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers).await?)?;
        let owned = canonical(owned)?;
        let properties = Arc::clone(&self.properties);
        let changed = tokio::task::spawn_blocking(move || change(&properties, &owned).map(|()| owned)).await;
        changed.unwrap_or_else(|error| Err(internal(&error)))
    }
}

/// The alias as clients of its protocol mean it.
fn canonical(owned: OwnedAlias) -> Result<OwnedAlias, Refusal> {
    let OwnedAlias { alias: Alias { protocol: name, id, hostname }, property_id } = owned;
    let Some(protocol) = Protocol::from_name(&name) else {
        let known = Protocol::ALL.map(Protocol::as_str).join(", ");
        return Err(Refusal::invalid("protocol", &name, format!("which is none of {known}")));
    };
    let hostname = hostname.to_ascii_lowercase();
    match (protocol.ids_are_ambiguous(), hostname.is_empty()) {
        (true, true) => {
            let problem =
                format!("but ids of {name} are not unique in the world; give the host name of the pages too");
            return Err(Refusal::invalid("hostname", "", problem));
        }
        (false, false) => {
            let problem = format!("but ids of {name} are unique; leave the host name out");
            return Err(Refusal::invalid("hostname", &hostname, problem));
        }
        _ => {}
    }
    Ok(OwnedAlias { alias: Alias { id: protocol.canonical_id(&id), protocol: name, hostname }, property_id })
}

fn refuse(error: &AliasError) -> Refusal {
    match error {
        AliasError::Invalid { field, value, problem } => Refusal::invalid(*field, value, problem),
        AliasError::Taken { id, .. } => Refusal {
            field: Some("id".to_owned()),
            value: Some(id.clone()),
            ..Refusal::new(Code::AlreadyExists, error.to_string())
        },
        AliasError::Absent(_) => Refusal::new(Code::NotFound, error.to_string()),
        AliasError::Write(_) => internal(error),
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "an alias could not be changed");
    Refusal::new(Code::Internal, "the alias could not be written; the log of the api says why")
}
