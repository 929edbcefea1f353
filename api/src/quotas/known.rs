//! The properties that have a quota of the day, as the configuration has them.
//!
//! In: the api's records, all at first and then those that changed. Out: who has how many hits on which day. Invariant: a version that was
//! followed is in it whole; one that cannot be followed from the last is read anew.

use std::collections::HashMap;

use configuration::Position;
use configuration::replica::{Reader, Records as _};
use configuration::stored::{self, PROPERTY, StoredError};
use jiff::tz::TimeZone;
use property::local_date;
use proto::config::StoredProperty;

use super::Found;
use crate::history::unreadable;
use crate::refuse::Refusal;

/// One that has a quota.
#[derive(Debug, Clone)]
struct Limited {
    daily_hits: u64,
    zone: TimeZone,
    /// The last date that edges were told of.
    told: Option<i32>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    at: Position,
    limited: HashMap<String, Limited>,
}

impl Known {
    /// Takes in what changed.
    pub(super) fn follow(&mut self, reader: &Reader<'_>) -> Result<(), Refusal> {
        let here = reader.position().map_err(|error| unreadable(&error))?;
        if (self.at.history, self.at.generation) != (here.history, here.generation) || self.at.is_nothing() {
            return self.read(reader, here);
        }
        while self.at.version < here.version {
            let deltas = reader.deltas_after(self.at.version).map_err(|error| unreadable(&error))?;
            let Some(deltas) = deltas.filter(|deltas| !deltas.is_empty()) else {
                return self.read(reader, here);
            };
            for delta in deltas {
                self.at.version += 1;
                for record in &delta.records {
                    self.set(&record.key, record.value.as_deref()).map_err(|error| unreadable(&error))?;
                }
            }
        }
        self.at = here;
        Ok(())
    }

    fn read(&mut self, reader: &Reader<'_>, here: Position) -> Result<(), Refusal> {
        let (mut all, mut wrong) = (Self { at: here, ..Self::default() }, None);
        let read = reader.for_each(PROPERTY, &mut |key, value| {
            if let Err(error) = all.set(key, Some(value)) {
                wrong = Some(error);
            }
        });
        read.map_err(|error| unreadable(&error))?;
        if let Some(error) = wrong {
            return Err(unreadable(&error));
        }
        *self = all;
        Ok(())
    }

    fn set(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), StoredError> {
        let Some(property_id) = key.strip_prefix(PROPERTY) else { return Ok(()) };
        let stored = value.map(|value| stored::decode::<StoredProperty>(key, value)).transpose()?;
        let edge = stored.and_then(|stored| stored.edge).filter(|edge| edge.daily_hits > 0);
        let Some(edge) = edge else {
            self.limited.remove(property_id);
            return Ok(());
        };
        let rules = stored::read_rules(key, &edge.rules_json)?;
        // A zone that this build lacks is refused where properties are read; its dates are those of UTC until then.
        let zone = TimeZone::get(&rules.time_zone).unwrap_or(TimeZone::UTC);
        let limited = Limited { daily_hits: edge.daily_hits, zone, told: None };
        self.limited.insert(property_id.to_owned(), limited);
        Ok(())
    }

    /// Whether nobody has a quota.
    pub(super) fn is_empty(&self) -> bool {
        self.limited.is_empty()
    }

    /// The lowest quota.
    pub(super) fn lowest(&self) -> u64 {
        self.limited.values().map(|limited| limited.daily_hits).min().unwrap_or(u64::MAX)
    }

    /// Who has one, if these are not more than so many.
    pub(super) fn ids(&self, limit: usize) -> Option<Vec<&str>> {
        (self.limited.len() <= limit).then(|| self.limited.keys().map(String::as_str).collect())
    }

    /// Whether this is over a quota on its own today, and edges are not known to have been told.
    pub(super) fn is_new(&self, found: &Found, now_ms: u64) -> bool {
        self.limited.get(&found.property_id).is_some_and(|limited| {
            found.hits >= limited.daily_hits
                && limited.told != Some(found.local_date)
                && local_date(now_ms, &limited.zone) == found.local_date
        })
    }

    /// Edges have been told.
    pub(super) fn told(&mut self, found: &Found) {
        if let Some(limited) = self.limited.get_mut(&found.property_id) {
            limited.told = Some(found.local_date);
        }
    }
}
