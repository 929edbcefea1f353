//! Sets and shows a property's rules as a rules file. For the admin; gRPC and JSON both come through here.
//!
//! A new version is durable, and in force at connected edges, before it is answered; hits that came before keep theirs.

use configuration::replica::Records;
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use property::{Changed, FieldChange, RulesError, RulesFile, RulesFileError};

use crate::authorize::{Caller, no_property, require_admin};
use crate::history::draft::Draft;
use crate::metrics::Method;
use crate::properties::{PropertyCalls, attribution};
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

/// What setting rules did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesSet {
    /// The version in force after it.
    pub version: u32,
    /// What is not as before; empty: nothing was to be done. By field.
    pub changes: Vec<FieldChange>,
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
    ) -> Result<RulesSet, Refusal> {
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
        let outcome = self.rules_uncounted(headers, property_id, version);
        self.metrics.request(Method::GetRules, &outcome);
        outcome
    }

    async fn set_rules_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        text: String,
        is_dry_run: bool,
    ) -> Result<RulesSet, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.admin(headers)?;
        let file = RulesFile::parse(&text).map_err(|error| refuse(error.into()))?;
        let property_id = self.authorizer.property(&caller, property_id)?.property_id.clone();
        if is_dry_run {
            return Ok(changed(&self.history.read()?, &property_id, &file)?.1);
        }
        let by = attribution(&caller, "SetRules");
        let set = self.history.change(by, move |draft| set(draft, &property_id, &file)).await?;
        Ok(set)
    }

    fn rules_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
        version: u32,
    ) -> Result<ShownRules, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.admin(headers)?;
        let property = self.authorizer.property(&caller, property_id)?;
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

    fn admin(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let caller = self.authorizer.caller(headers)?;
        require_admin(&caller)?;
        Ok(caller)
    }
}

/// The property with what the file says, and what that changes.
fn changed(
    records: &impl Records,
    property_id: &str,
    file: &RulesFile,
) -> Result<((NamedProperty, NamedProperty), RulesSet), Refusal> {
    let before = stored::property(records, property_id)?.ok_or_else(|| no_property(property_id))?;
    let Changed { property, changes } = before.property.with_rules(file.clone()).map_err(refuse)?;
    let set = RulesSet { version: property.current_rules().version, changes };
    let after = NamedProperty { property, ..before.clone() };
    Ok(((before, after), set))
}

fn set(draft: &mut Draft<'_>, property_id: &str, file: &RulesFile) -> Result<RulesSet, Refusal> {
    let ((before, after), set) = changed(draft, property_id, file)?;
    let replaced = before.property.current_rules();
    if after.property.current_rules() != replaced {
        draft.put(stored::rules_key(property_id, replaced.version), stored::rules_value(replaced));
    }
    draft.put(stored::property_key(property_id), stored::property_value(&after));
    Ok(set)
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
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "rules could not be shown");
    Refusal::new(Code::Internal, "the rules could not be written as a file; the log of the api says why")
}
