//! Where a report goes over a change of the property's time zone or currency, and what that does to its days.
//!
//! In: all versions of the rules, the days of the report, whether it asks for money. Out: the zone of its last day, and a note for each
//! change that its days touch. Counted hours are never moved: a change holds for the hits that come after it. Invariant: notes are a
//! function of the configuration alone, so a report with no row has them too.

use hit::Rules;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use property::Rulebook;
use serde::Serialize;

use crate::plan::dates::Days;

/// Most notes of a report; of more the newest are told.
const NOTES_MAX: usize = 100;

/// What a reader of a report should know about its days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// What held for hits that came before.
    pub before: String,
    /// What holds for hits that came from then on.
    pub after: String,
}

/// One version of the rules in the place of another.
struct Seam<'a> {
    at: Timestamp,
    before: (&'a Rules, TimeZone),
    after: (&'a Rules, TimeZone),
}

/// The zone of the last day of a report.
pub fn time_zone(rules: &Rulebook, days: Days) -> &str {
    let seams = seams(rules);
    let begun = seams.iter().rfind(|seam| days.to >= seam.local(&seam.after.1).date());
    let of_last_day = begun.map(|seam| seam.after.0).or(seams.first().map(|seam| seam.before.0));
    &of_last_day.unwrap_or(rules.current()).time_zone
}

/// The changes that the days of a report touch, oldest first.
pub fn notes(rules: &Rulebook, days: Days, asks_money: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    for seam in seams(rules).iter().filter(|seam| seam.touches(days)) {
        let (before, after) = (seam.before.0, seam.after.0);
        if before.time_zone != after.time_zone {
            notes.push(seam.note("time_zone_changed", &before.time_zone, &after.time_zone, seam.of_zone()));
        }
        if asks_money && before.currency != after.currency {
            let message = format!(
                "money that came without a currency is {} until {} and {} from then on",
                before.currency, seam.at, after.currency
            );
            notes.push(seam.note("currency_changed", &before.currency, &after.currency, message));
        }
    }
    notes.drain(..notes.len().saturating_sub(NOTES_MAX));
    notes
}

/// Versions of other zones or currencies than the one before them, oldest first. Of a version whose time is not known nothing can be
/// said: it is taken to hold from the beginning.
fn seams(rules: &Rulebook) -> Vec<Seam<'_>> {
    let mut seams = Vec::new();
    let mut before: Option<&Rules> = None;
    for after in rules.iter() {
        let of_time = i64::try_from(after.since_ms).ok().filter(|ms| *ms != 0);
        let at = of_time.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        if let (Some(before), Some(at)) = (before, at)
            && (before.time_zone != after.time_zone || before.currency != after.currency)
            && let (Ok(from), Ok(to)) = (TimeZone::get(&before.time_zone), TimeZone::get(&after.time_zone))
        {
            seams.push(Seam { at, before: (before, from), after: (after, to) });
        }
        before = Some(after);
    }
    seams
}

impl Seam<'_> {
    fn local(&self, zone: &TimeZone) -> Zoned {
        self.at.to_zoned(zone.clone())
    }

    /// The local days on which the change is, which are two when one zone is a day ahead of the other.
    fn days(&self) -> (Date, Date) {
        let (before, after) = (self.local(&self.before.1).date(), self.local(&self.after.1).date());
        (before.min(after), before.max(after))
    }

    fn touches(&self, days: Days) -> bool {
        let (first, last) = self.days();
        days.from <= last && days.to >= first
    }

    fn note(&self, code: &'static str, before: &str, after: &str, message: String) -> Note {
        let (before, after) = (before.to_owned(), after.to_owned());
        Note { code, message, at: self.at.to_string(), before, after }
    }

    /// What another zone does to hours and days.
    fn of_zone(&self) -> String {
        let (before, after) = (self.local(&self.before.1), self.local(&self.after.1));
        let (old, new) = (&self.before.0.time_zone, &self.after.0.time_zone);
        let shown = |zoned: &Zoned| zoned.datetime().strftime("%Y-%m-%d %H:%M").to_string();
        let (left, entered) = (shown(&before), shown(&after));
        let mut message = format!("hours are of {old} until {} and of {new} from then on", self.at);
        let moved = match before.datetime().cmp(&after.datetime()) {
            std::cmp::Ordering::Equal => return message,
            std::cmp::Ordering::Greater => format!(
                ": local time went back from {left} to {entered}, so the hours between are there twice and hold both"
            ),
            std::cmp::Ordering::Less => {
                format!(": local time went on from {left} to {entered}, so the hours between are not there")
            }
        };
        message.push_str(&moved);
        let (first, last) = self.days();
        let mut day = first;
        while day <= last {
            message.push_str(&format!("; {day} has {} h", self.hours_of(day)));
            let Ok(next) = day.checked_add(1.day()) else { break };
            day = next;
        }
        message
    }

    /// How long a local day is: what it has in the old zone before the change and in the new one after it.
    fn hours_of(&self, day: Date) -> f64 {
        let part = |zone: &TimeZone, before: bool| {
            let begin = day.to_zoned(zone.clone()).ok()?.timestamp();
            let end = day.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp();
            let (begin, end) = if before { (begin, end.min(self.at)) } else { (begin.max(self.at), end) };
            Some(end.duration_since(begin).as_secs().max(0))
        };
        let seconds = part(&self.before.1, true).unwrap_or(0) + part(&self.after.1, false).unwrap_or(0);
        (seconds as f64 / 36.0).round() / 100.0
    }
}

#[cfg(test)]
mod tests;
