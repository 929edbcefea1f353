//! The rules file: everything that can be set of a property, as TOML for people to write (docs/rules.md).
//!
//! In: the text. Out: rules and tracker settings, or one sentence with line or field, value and the way out; and back. The
//! file is the whole truth: what is absent is at its default, but for the time zone, which stays. Invariant: the text of
//! rules, read again, gives the same rules.

use hit::Rules;
use hit::rules::{ChannelRule, EventRules, PrivacyRules, SessionRules, TrafficRules, UrlRules};
use serde::{Deserialize, Serialize};

use crate::rulebook::known_zone;
use crate::tracker::TrackerSettings;

/// Longest rules file, bytes: it goes into one request of the api.
pub const RULES_FILE_MAX_BYTES: usize = 48 * 1024;

/// Longest part of a line that an error repeats, characters.
const SHOWN_CHARS: usize = 80;

/// What a rules file says; not yet whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    session_timeout_s: u32,
    session_grace_s: u32,
    session: SessionRules,
    traffic: TrafficRules,
    privacy: PrivacyRules,
    urls: UrlRules,
    events: EventRules,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ChannelRule>,
    tracker: TrackerSettings,
}

/// Why a text is no rules file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesFileError {
    /// It is too long.
    #[error("the rules file has {0} bytes, more than {RULES_FILE_MAX_BYTES}; shorten its lists")]
    TooLong(usize),
    /// A line of it is no TOML, or has a key or a kind of value that rules do not have.
    #[error("line {line} of the rules file, {shown:?}: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// The line, cut when it is long.
        shown: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Default for RulesFile {
    fn default() -> Self {
        let mut file = Self::of(&Rules::first(""), &TrackerSettings::default());
        file.time_zone = None;
        file
    }
}

impl RulesFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// With the first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, RulesFileError> {
        if text.len() > RULES_FILE_MAX_BYTES {
            return Err(RulesFileError::TooLong(text.len()));
        }
        let mut file: Self = toml::from_str(text).map_err(|error| refuse(text, &error))?;
        file.spell_as_compared();
        Ok(file)
    }

    /// The file that says this.
    pub fn of(rules: &Rules, tracker: &TrackerSettings) -> Self {
        let Rules {
            version: _,
            since_ms: _,
            time_zone,
            currency: _,
            session_timeout_s,
            session_grace_s,
            session,
            traffic,
            privacy,
            urls,
            events,
            channels,
        } = rules.clone();
        let (time_zone, tracker) = (Some(time_zone), tracker.clone());
        Self {
            time_zone,
            session_timeout_s,
            session_grace_s,
            session,
            traffic,
            privacy,
            urls,
            events,
            channels,
            tracker,
        }
    }

    /// The text of the file: every number and switch, and the lists that are not empty.
    ///
    /// # Errors
    /// None is known; the writer of TOML may name one.
    pub fn text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// What it says, with the present rules' version and currency and, if it names none, their zone.
    pub(crate) fn over(self, present: &Rules) -> (Rules, TrackerSettings) {
        let Self {
            time_zone,
            session_timeout_s,
            session_grace_s,
            session,
            traffic,
            privacy,
            urls,
            events,
            channels,
            tracker,
        } = self;
        let rules = Rules {
            version: present.version,
            since_ms: present.since_ms,
            time_zone: time_zone.unwrap_or_else(|| present.time_zone.clone()),
            currency: present.currency.clone(),
            session_timeout_s,
            session_grace_s,
            session,
            traffic,
            privacy,
            urls,
            events,
            channels,
        };
        (rules, tracker)
    }

    /// Equal names become equal texts: zones as the database spells them, host names in lower case.
    fn spell_as_compared(&mut self) {
        if let Some(zone) = &mut self.time_zone
            && let Some(spelt) = known_zone(zone).as_ref().and_then(|found| found.iana_name())
        {
            spelt.clone_into(zone);
        }
        let TrafficRules { spam_referrers, allowed_referrers, ignored_referrers, .. } = &mut self.traffic;
        let lists = [spam_referrers, allowed_referrers, ignored_referrers, &mut self.urls.hostnames];
        for name in lists.into_iter().flatten() {
            name.make_ascii_lowercase();
        }
    }
}

fn refuse(text: &str, error: &toml::de::Error) -> RulesFileError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    RulesFileError::Line {
        line: before.matches('\n').count() + 1,
        shown: line.trim().chars().take(SHOWN_CHARS).collect(),
        problem: plain(error.message()),
    }
}

/// What the reader of TOML says, as a sentence of ours.
fn plain(message: &str) -> String {
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, expected "));
    match unknown {
        Some((key, known)) => {
            let known = known.trim_start_matches("one of ").replace('`', "");
            format!("there is no key {key:?} here; the keys are {known}")
        }
        None => message.replace('\n', "; ").replace('`', ""),
    }
}

#[cfg(test)]
mod tests;
