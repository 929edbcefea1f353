//! Hits that are not counted: by the minute of their receipt, in the zone of the rules they name, and by reason.

use hit::{RawHit, Refusals, Rules};

use super::{Mistake, Oracle};
use crate::world::offset_s;

/// Property, (local date, minute, offset), reason.
pub(crate) type RefusedKey = (String, (u16, u32, i32), String);

impl Oracle<'_> {
    /// What collect did not take.
    pub(super) fn refusals(&mut self, refusals: &Refusals, now: u64) {
        let of = (refusals.property_id.clone(), refusals.rules_version);
        let Some(rules) = self.world.rules.get(&of) else {
            self.refused_without_rules += refusals.count;
            return;
        };
        // The reasons of the generator that docs/errors.md lists.
        let is_known = ["invalid_field", "too_old", "foreign_hostname"].contains(&refusals.reason.as_str());
        let stays = is_known || self.errs(Mistake::UnknownReasonsStay);
        let reason = if stays { refusals.reason.as_str() } else { "other" };
        self.book_refused(&of.0, rules, now, (reason, refusals.count));
    }

    /// A hit of a host that the rules do not name.
    pub(super) fn foreign(&mut self, raw: &RawHit, rules: &Rules, now: u64) {
        if self.errs(Mistake::ForeignHostsAreNotTold) {
            return;
        }
        let at = if self.errs(Mistake::RefusedAtTheTimeOfTheEvent) { raw.event_time_ms } else { now };
        self.book_refused(&raw.property_id, rules, at, ("foreign_hostname", 1));
    }

    fn book_refused(&mut self, property: &str, rules: &Rules, at: u64, (reason, hits): (&str, u64)) {
        let unix_s = i64::try_from(at / 1000).unwrap();
        let in_utc = self.errs(Mistake::RefusedInUtc);
        let offset = if in_utc { 0 } else { offset_s(&rules.time_zone, unix_s) };
        let date = u16::try_from((unix_s + i64::from(offset)) / 86_400).unwrap();
        let minute = u32::try_from(unix_s / 60).unwrap();
        let key = (property.to_owned(), (date, minute, offset), reason.to_owned());
        *self.booked.refused.entry(key).or_default() += hits;
    }
}
