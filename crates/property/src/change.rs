//! Sets a property's rules and tracker settings: a new version beside the old ones.
//!
//! In: a property and what a rules file says. Out: the property after it, and what differs, field by field. Changed rules are a new
//! version; tracker settings have none.

use std::collections::{BTreeMap, BTreeSet};

use hit::Rules;
use serde_json::Value;

use crate::model::Property;
use crate::rulebook::Invalid;
use crate::rules_file::{RulesFile, RulesFileError};
use crate::tracker::TrackerSettings;

/// A field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// As in the rules file: `session.engaged_after_s`.
    pub field: String,
    /// What it was.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

/// A property after rules were set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// With the version that is in force then: the one before if no rule changed, since tracker settings have no versions.
    pub property: Property,
    /// What is not as before; empty: nothing is to be done. By field.
    pub changes: Vec<FieldChange>,
}

/// Why rules cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The text is no rules file.
    #[error(transparent)]
    Text(#[from] RulesFileError),
    /// A field cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Property {
    /// The property with what the file says, from `now_ms` on.
    ///
    /// # Errors
    /// With the field that cannot be used.
    pub fn with_rules(&self, wanted: RulesFile, now_ms: u64) -> Result<Changed, RulesError> {
        let (rules, tracker) = wanted.over(self.current_rules());
        tracker.check()?;
        let changes = differences((self.current_rules(), self.tracker()), (&rules, &tracker));
        let mut property = self.clone();
        if rules != **self.current_rules() {
            property.rules = self.rules.with(rules, now_ms)?;
        }
        property.tracker = (tracker != TrackerSettings::default()).then(|| Box::new(tracker));
        Ok(Changed { property, changes })
    }
}

/// What is not the same in two states, field by field as in the rules file.
fn differences(before: (&Rules, &TrackerSettings), after: (&Rules, &TrackerSettings)) -> Vec<FieldChange> {
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    // Only lists are left out when they are empty.
    let value = |fields: &BTreeMap<String, Value>, name: &String| {
        fields.get(name).cloned().unwrap_or(Value::Array(Vec::new()))
    };
    names
        .into_iter()
        .map(|name| FieldChange { field: name.clone(), old: value(&before, name), new: value(&after, name) })
        .filter(|change| change.old != change.new)
        .collect()
}

fn fields((rules, tracker): (&Rules, &TrackerSettings)) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let Ok(Value::Object(tables)) = serde_json::to_value(RulesFile::of(rules, tracker)) else {
        return fields;
    };
    for (table, value) in tables {
        match value {
            Value::Object(inner) => {
                fields.extend(inner.into_iter().map(|(name, value)| (format!("{table}.{name}"), value)));
            }
            value => {
                fields.insert(table, value);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests;
