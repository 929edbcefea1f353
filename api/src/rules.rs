//! Sets and shows a property's rules as a rules file.
//!
//! A new version is durable, and in force at connected edges, before it is answered; hits that came before keep theirs.

use configuration::replica::Reader;
use configuration::stored::NamedProperty;
use http::HeaderMap;
use property::{Changed, FieldChange, RulesError, RulesFile, RulesFileError};

use crate::authorize::Action;
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::metrics::Method;
use crate::properties::put_property;
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

impl ConfigCalls {
    /// Sets the rules and tracker settings of a property to what the text of a rules file says; a dry run only tells what
    /// that would change.
    ///
    /// # Errors
    /// `InvalidArgument` with the line or field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn replace_rules(
        &self,
        headers: &HeaderMap,
        property_id: String,
        text: String,
        is_dry_run: bool,
    ) -> Result<RulesSet, Refusal> {
        let parse = move || RulesFile::parse(&text).map_err(|error| refuse(error.into()));
        if is_dry_run {
            let read = move |reader: &Reader<'_>, access: &Access| {
                let before = access.property(reader, Action::ChangeProperty, &property_id)?;
                Ok(changed(&before, &parse()?, access.now_ms)?.1)
            };
            return self.read(Method::SetRules, headers, read).await;
        }
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let before = access.property(draft, Action::ChangeProperty, &property_id)?;
            let (after, set) = changed(&before, &parse()?, access.now_ms)?;
            put_property(draft, &before, &after);
            Ok(set)
        };
        self.change(Method::SetRules, headers, make).await
    }

    /// The rules of a version; 0: of the one in force.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the version, and for the admin.
    pub async fn rules(
        &self,
        headers: &HeaderMap,
        property_id: String,
        version: u32,
    ) -> Result<ShownRules, Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            shown(&access.property(reader, Action::ReadProperty, &property_id)?, version)
        };
        self.read(Method::GetRules, headers, read).await
    }
}

fn shown(named: &NamedProperty, version: u32) -> Result<ShownRules, Refusal> {
    let property = &named.property;
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

/// The property with what the file says, and what that changes.
fn changed(
    before: &NamedProperty,
    file: &RulesFile,
    now_ms: u64,
) -> Result<(NamedProperty, RulesSet), Refusal> {
    let Changed { property, changes } = before.property.with_rules(file.clone(), now_ms).map_err(refuse)?;
    let set = RulesSet { version: property.current_rules().version, changes };
    Ok((NamedProperty { property, ..before.clone() }, set))
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
