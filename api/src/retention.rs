//! For how many days what was counted of a property is kept: the default of new ones, and who may set it.
//!
//! In: what a request says, if it says anything. Out: the days of the property after it. Invariant: only who may destroy what was counted
//! changes it once there is something to count: a shorter time deletes, and a longer one keeps what was promised to go.

use configuration::stored::NamedProperty;
use property::retention::check_retention_days;
use serde::{Deserialize, Serialize};

use crate::authorize::Action;
use crate::calls::Access;
use crate::refuse::Refusal;

/// How long new properties keep what was counted, unless the request says so itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days, 1 to 3,650; 0 (default): for ever. A property that is there keeps its own.
    pub days: u32,
}

impl RetentionConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// Names field and value.
    pub fn validate(&self) -> Result<(), String> {
        check_retention_days(self.days)
            .map_err(|problem| format!("retention.days is {}, {problem}", self.days))
    }

    /// The days of a new property.
    pub(crate) fn of_new(&self, asked_days: Option<u32>) -> Result<u32, Refusal> {
        checked(asked_days.unwrap_or(self.days))
    }
}

/// The days of a property after an update; `None`: as before.
pub(crate) fn updated(
    access: &Access,
    before: &NamedProperty,
    asked_days: Option<u32>,
) -> Result<u32, Refusal> {
    let Some(days) = asked_days.filter(|days| *days != before.retention_days) else {
        return Ok(before.retention_days);
    };
    if !access.allows(Action::ChangeRetention, before) {
        return Err(access.denied(Action::ChangeRetention, "retention_days", &days.to_string()));
    }
    checked(days)
}

fn checked(days: u32) -> Result<u32, Refusal> {
    match check_retention_days(days) {
        Ok(()) => Ok(days),
        Err(problem) => Err(Refusal::invalid("retention_days", &days.to_string(), problem)),
    }
}
