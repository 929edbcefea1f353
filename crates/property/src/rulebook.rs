//! All versions of a property's rules, checked once: versions 1, 2, 3 … without gaps, each with a known zone.
//!
//! In: versions as they are stored. Out: any of them. The last version is in force; every earlier one stays, for hits that name it.

use std::sync::Arc;

use hit::Rules;
use jiff::tz::TimeZone;

mod check;

pub use check::{Invalid, LIST_MAX, SPAM_REFERRERS_MAX};

/// The versions of a property's rules; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rulebook {
    earlier: Vec<Arc<Rules>>,
    current: Arc<Rules>,
    zone: TimeZone,
}

impl Rulebook {
    /// The rules in force.
    pub fn current(&self) -> &Arc<Rules> {
        &self.current
    }

    /// The zone of the rules in force.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The rules of this version.
    pub fn version(&self, version: u32) -> Option<&Arc<Rules>> {
        if version == self.current.version {
            return Some(&self.current);
        }
        self.earlier.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    /// The same with one version more, which is in force from `now_ms` on, or from when the one before it is, should a clock be behind.
    ///
    /// # Errors
    /// When a field of it cannot be used, or there can be no more versions.
    pub fn with(&self, rules: Rules, now_ms: u64) -> Result<Self, Invalid> {
        let version = self.current.version.checked_add(1);
        let version =
            version.ok_or_else(|| Invalid::new("version", self.current.version, "which is the last one"))?;
        let since_ms = now_ms.max(self.current.since_ms);
        let rules = Rules { version, since_ms, ..rules };
        check::check(&rules)?;
        check::check_new(&rules)?;
        let zone = known_zone(&rules.time_zone).ok_or_else(|| check::unknown_zone(&rules.time_zone))?;
        let earlier = self.iter().cloned().collect();
        Ok(Self { earlier, current: Arc::new(rules), zone })
    }

    /// All versions, from 1.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rules>> {
        self.earlier.iter().chain([&self.current])
    }
}

impl TryFrom<Vec<Rules>> for Rulebook {
    type Error = String;

    fn try_from(mut rules: Vec<Rules>) -> Result<Self, String> {
        for (index, version) in rules.iter().enumerate() {
            check_version(index, version)?;
        }
        let current = rules.pop().ok_or("rules is empty; it needs at least version 1")?;
        let zone = known_zone(&current.time_zone)
            .ok_or_else(|| format!("rules: time_zone {:?} is not known", current.time_zone))?;
        Ok(Self { earlier: rules.into_iter().map(Arc::new).collect(), current: Arc::new(current), zone })
    }
}

fn check_version(index: usize, rules: &Rules) -> Result<(), String> {
    if usize::try_from(rules.version).ok() != Some(index + 1) {
        return Err(format!(
            "rules[{index}].version is {}; versions count from 1 without gaps, so it must be {}",
            rules.version,
            index + 1
        ));
    }
    check::check(rules).map_err(|invalid| format!("rules[{index}].{invalid}"))
}

/// The zone of this IANA name, whatever its case; `None` when there is none.
pub(crate) fn known_zone(name: &str) -> Option<TimeZone> {
    // jiff knows "Etc/Unknown" as a zone of its own; nobody lives there.
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(version: u32, zone: &str) -> Rules {
        Rules { version, ..Rules::first(zone) }
    }

    #[test]
    fn last_version_is_in_force_and_all_are_found() {
        let book = Rulebook::try_from(vec![rules(1, "UTC"), rules(2, "Asia/Kathmandu")]).unwrap();
        assert_eq!(book.current().time_zone, "Asia/Kathmandu");
        assert_eq!(book.version(1).map(|rules| rules.time_zone.as_str()), Some("UTC"));
        assert_eq!(book.version(2), Some(book.current()));
        assert_eq!((book.version(0), book.version(3)), (None, None));
    }

    #[test]
    fn a_passive_page_view_is_read_where_it_stands_and_never_set() {
        let mut passive = rules(1, "UTC");
        passive.session.passive_events = vec!["heartbeat".into(), "page_view".into()];
        let book = Rulebook::try_from(vec![passive.clone()]).unwrap();
        assert_eq!(book.current().session, passive.session);
        passive.session_timeout_s = 60;
        let message = book.with(passive.clone(), 5).unwrap_err().to_string();
        assert!(message.starts_with("session.passive_events[1] is \"page_view\", "), "{message}");
        assert!(message.ends_with("take it out"), "{message}");
        passive.session.passive_events.pop();
        let book = book.with(passive.clone(), 5).unwrap();
        assert_eq!((book.current().version, book.current().since_ms), (2, 5));
        let behind = book.with(passive, 4).unwrap();
        assert_eq!((behind.current().version, behind.current().since_ms), (3, 5));
    }

    #[test]
    fn bad_rules_are_refused_by_field() {
        let mut endless = rules(1, "UTC");
        endless.session_timeout_s = 86_401;
        for (bad, field) in [
            (vec![], "rules is empty"),
            (vec![rules(2, "UTC")], "rules[0].version is 2"),
            (vec![rules(1, "UTC"), rules(1, "UTC")], "rules[1].version is 1"),
            (vec![rules(1, "Mars/Olympus")], "rules[0].time_zone is \"Mars/Olympus\""),
            (vec![rules(1, "Etc/Unknown")], "rules[0].time_zone"),
            (vec![endless], "rules[0].session_timeout_s is \"86401\""),
        ] {
            let message = Rulebook::try_from(bad).unwrap_err();
            assert!(message.contains(field), "{message}");
        }
    }
}
