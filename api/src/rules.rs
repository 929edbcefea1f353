//! Sets and shows a property's rules as a rules file. For the admin; gRPC and JSON both come through here.
//!
//! A new version is durable before it is answered. Edges read it within a second or two; hits that came before keep theirs.

use std::sync::Arc;

use http::HeaderMap;
use property::{RulesChange, RulesError, RulesFile, RulesFileError};

use crate::authorize::{Caller, require_admin};
use crate::metrics::Method;
use crate::properties::PropertyCalls;
use crate::refuse::{Code, Refusal};

/// Rules as they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRules {
    /// Their version.
    pub version: u32,
    /// The version in force.
    pub current_version: u32,
    /// A rules file.
    pub text: String,
}

impl PropertyCalls {
    /// Sets the rules and tracker settings of a property to what the text of a rules file says; a dry run only tells what
    /// that would change.
    ///
    /// # Errors
    /// `InvalidArgument` with the line or field, `NotFound` for the property.
    pub async fn set_rules(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        text: String,
        is_dry_run: bool,
    ) -> Result<RulesChange, Refusal> {
        let outcome = self.set_rules_uncounted(headers, property_id, text, is_dry_run).await;
        self.metrics.request(Method::SetRules, &outcome);
        outcome
    }

    /// The rules of a version; 0: of the one in force.
    ///
    /// # Errors
    /// `NotFound` for the property or the version.
    pub async fn rules(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        version: u32,
    ) -> Result<ShownRules, Refusal> {
        let outcome = self.rules_uncounted(headers, property_id, version).await;
        self.metrics.request(Method::GetRules, &outcome);
        outcome
    }

    async fn set_rules_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        text: String,
        is_dry_run: bool,
    ) -> Result<RulesChange, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.admin(headers).await?;
        let property = self.authorizer.property(&caller, property_id).await?;
        let properties = Arc::clone(&self.properties);
        let changed = tokio::task::spawn_blocking(move || {
            let changed = properties.set_rules(&property.property_id, &text, is_dry_run).map_err(refuse)?;
            if !is_dry_run && !changed.changes.is_empty() {
                tracing::info!(property_id = property.property_id, version = changed.version, "rules set");
            }
            Ok(changed)
        });
        changed.await.unwrap_or_else(|error| Err(internal(&error)))
    }

    async fn rules_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        version: u32,
    ) -> Result<ShownRules, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.admin(headers).await?;
        let property = self.authorizer.property(&caller, property_id).await?;
        let current_version = property.current_rules().version;
        let version = if version == 0 { current_version } else { version };
        let rules = property.rules.version(version).ok_or_else(|| Refusal {
            code: Code::NotFound,
            ..Refusal::invalid(
                "version",
                &version.to_string(),
                format!("which this property does not have; its versions are 1 to {current_version}"),
            )
        })?;
        let text = RulesFile::of(rules, property.tracker()).text().map_err(|error| internal(&error))?;
        Ok(ShownRules { version, current_version, text })
    }

    async fn admin(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let caller = self.authorizer.caller(headers).await?;
        require_admin(&caller)?;
        Ok(caller)
    }
}

fn refuse(error: RulesError) -> Refusal {
    match error {
        RulesError::Invalid(invalid) => Refusal::invalid(invalid.field, &invalid.value, invalid.problem),
        RulesError::Text(RulesFileError::TooLong(_)) => Refusal::new(Code::TooLarge, error.to_string()),
        RulesError::Text(RulesFileError::Line { ref shown, .. }) => Refusal {
            field: Some("rules".to_owned()),
            value: Some(shown.clone()),
            ..Refusal::new(Code::InvalidArgument, error.to_string())
        },
        RulesError::Full(_) => Refusal::new(Code::InvalidArgument, error.to_string()),
        RulesError::Unusable(_) | RulesError::Write(_) => internal(&error),
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "rules could not be read or set");
    Refusal::new(
        Code::Internal,
        "the property's file could not be read or written; the log of the api says why",
    )
}
