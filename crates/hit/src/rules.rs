//! Rules that processing reads: values with a version, named by every hit.
//!
//! A change of rules is a new version beside the old ones, so that a replay years later reads what was in force
//! when the hit came. A version is never changed or removed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One version of a property's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// From 1; the last one is in force.
    pub version: u32,
    /// IANA time zone: decides local date and hour of a hit.
    pub time_zone: String,
    /// A session ends after this much time without a hit, seconds. GA4: 1,800.
    #[serde(default = "default_session_timeout_s")]
    pub session_timeout_s: u32,
    /// How long after the time-out a session is held open for hits that come late, seconds.
    #[serde(default = "default_session_grace_s")]
    pub session_grace_s: u32,
}

fn default_session_timeout_s() -> u32 {
    1800
}

fn default_session_grace_s() -> u32 {
    300
}

impl Rules {
    /// The first version of a new property: GA4's session rules in this zone.
    pub fn first(time_zone: &str) -> Self {
        Self {
            version: 1,
            time_zone: time_zone.to_owned(),
            session_timeout_s: default_session_timeout_s(),
            session_grace_s: default_session_grace_s(),
        }
    }
}

/// Where processing finds the rules that a hit names.
pub trait RulesSource: Send + Sync {
    /// The rules of this property and version; `None` when they are not known (the hit is dropped with that reason).
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>>;
}
