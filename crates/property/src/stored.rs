//! A property in memory: few bytes while nobody asks for it, ready to be handed out while somebody does.
//!
//! A host may hold a million properties, most of them without traffic. So ids are kept as their characters, texts in one
//! piece, rules once for all properties that have the same. The [`Property`] itself is made at the first look-up, and let
//! go when it was not looked up for some minutes. Invariant: it is the one that was read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use jiff::Timestamp;

use crate::key::{KeyHash, VisitorKey};
use crate::model::Property;
use crate::rulebook::Rulebook;
use crate::tracker::TrackerSettings;

/// Between name and host names; none of them can contain it.
const SEPARATOR: char = '\n';

/// The random characters of a property id.
pub(crate) type Id = [u8; 12];

/// Those of a measurement id.
pub(crate) type MeasurementId = [u8; 10];

/// The characters after `p_`; `None` when the length is not that of a property id.
pub(crate) fn id_of(property_id: &str) -> Option<Id> {
    property_id.strip_prefix("p_")?.as_bytes().try_into().ok()
}

/// The characters after `M-`; `None` when the length is not that of a measurement id.
pub(crate) fn measurement_id_of(measurement_id: &str) -> Option<MeasurementId> {
    measurement_id.strip_prefix("M-")?.as_bytes().try_into().ok()
}

/// A property.
#[derive(Debug)]
pub(crate) struct Stored {
    id: Id,
    measurement_id: MeasurementId,
    currency: [u8; 3],
    was_used: AtomicBool,
    /// Name, then host names.
    texts: Box<str>,
    created_at: Timestamp,
    api_secret_sha256: KeyHash,
    report_key_sha256: KeyHash,
    visitor_key: VisitorKey,
    chosen: Arc<Chosen>,
    stamp: u64,
    property: OnceLock<Arc<Property>>,
}

impl Stored {
    /// `stamp` tells this content of its file from others. `None` when the property was not checked.
    pub(crate) fn new(property: &Property, stamp: u64, rulebooks: &mut Rulebooks) -> Option<Self> {
        let mut texts = property.name.clone();
        for hostname in &property.hostnames {
            texts.push(SEPARATOR);
            texts.push_str(hostname);
        }
        Some(Self {
            id: id_of(&property.property_id)?,
            measurement_id: measurement_id_of(&property.measurement_id)?,
            currency: property.currency.as_bytes().try_into().ok()?,
            was_used: AtomicBool::new(false),
            texts: texts.into_boxed_str(),
            created_at: property.created_at,
            api_secret_sha256: property.api_secret_sha256,
            report_key_sha256: property.report_key_sha256,
            visitor_key: property.visitor_key,
            chosen: rulebooks.shared(property),
            stamp,
            property: OnceLock::new(),
        })
    }

    /// The property; stays made as long as it is asked for now and then.
    pub(crate) fn property(&self) -> Arc<Property> {
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
        Arc::clone(self.property.get_or_init(|| Arc::new(self.make())))
    }

    /// The property, made for this call alone.
    pub(crate) fn make(&self) -> Property {
        let mut texts = self.texts.split(SEPARATOR).map(str::to_owned);
        Property {
            property_id: text("p_", &self.id),
            measurement_id: text("M-", &self.measurement_id),
            name: texts.next().unwrap_or_default(),
            time_zone: self.chosen.rules.current().time_zone.clone(),
            currency: text("", &self.currency),
            hostnames: texts.collect(),
            created_at: self.created_at,
            api_secret_sha256: self.api_secret_sha256,
            report_key_sha256: self.report_key_sha256,
            visitor_key: self.visitor_key,
            rules: self.chosen.rules.clone(),
            tracker: self.chosen.tracker.clone(),
        }
    }

    /// The same without the property made, if nobody asked for it since the last call.
    pub(crate) fn without_traffic(&self) -> Option<Self> {
        let is_idle = self.property.get().is_some() && !self.was_used.swap(false, Ordering::Relaxed);
        is_idle.then(|| Self {
            was_used: AtomicBool::new(false),
            texts: self.texts.clone(),
            chosen: Arc::clone(&self.chosen),
            property: OnceLock::new(),
            ..*self
        })
    }

    /// Whether somebody asked for it lately.
    #[cfg(test)]
    pub(crate) fn is_made(&self) -> bool {
        self.property.get().is_some()
    }

    pub(crate) fn id(&self) -> &Id {
        &self.id
    }

    pub(crate) fn measurement_id(&self) -> &MeasurementId {
        &self.measurement_id
    }

    pub(crate) fn report_key_sha256(&self) -> &KeyHash {
        &self.report_key_sha256
    }

    pub(crate) fn rules(&self) -> &Rulebook {
        &self.chosen.rules
    }

    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Older properties come first.
    pub(crate) fn age(&self) -> (Timestamp, &Id) {
        (self.created_at, &self.id)
    }
}

/// Ids and currencies are ASCII: they were checked.
fn text(prefix: &str, characters: &[u8]) -> String {
    format!("{prefix}{}", String::from_utf8_lossy(characters))
}

/// What many properties have alike.
#[derive(Debug, PartialEq)]
struct Chosen {
    rules: Rulebook,
    tracker: Option<Box<TrackerSettings>>,
}

/// Rules and tracker settings that many properties have alike, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Rulebooks {
    /// By their JSON.
    known: HashMap<String, Weak<Chosen>>,
    /// Size at which those that nobody has any more are looked for.
    crowded: usize,
}

impl Rulebooks {
    fn shared(&mut self, property: &Property) -> Arc<Chosen> {
        let Property { rules, tracker, currency, .. } = property;
        let text = serde_json::to_string(&(currency, rules, tracker)).unwrap_or_default();
        if let Some(known) = self.known.get(&text).and_then(Weak::upgrade)
            && (&known.rules, &known.tracker) == (rules, tracker)
        {
            return known;
        }
        if self.known.len() >= self.crowded {
            self.known.retain(|_, chosen| chosen.strong_count() > 0);
            self.crowded = 2 * self.known.len() + 64;
        }
        let chosen = Arc::new(Chosen { rules: rules.clone(), tracker: tracker.clone() });
        self.known.insert(text, Arc::downgrade(&chosen));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hit::Rules;

    fn property(name: &str, hostnames: &[&str]) -> Property {
        Property {
            property_id: "p_abcdefghij27".into(),
            measurement_id: "M-ABCDEFGH27".into(),
            name: name.into(),
            time_zone: "Asia/Kathmandu".into(),
            currency: "NPR".into(),
            hostnames: hostnames.iter().map(|&host| host.to_owned()).collect(),
            created_at: "2015-05-17T10:05:00Z".parse().unwrap(),
            api_secret_sha256: KeyHash::of("a"),
            report_key_sha256: KeyHash::of("b"),
            visitor_key: VisitorKey::random().unwrap(),
            rules: Rulebook::try_from(vec![
                Rules::first("UTC"),
                Rules { version: 2, session_timeout_s: 60, ..Rules::first("Asia/Kathmandu") },
            ])
            .unwrap(),
            tracker: Some(Box::new(TrackerSettings { forms: true, ..TrackerSettings::default() })),
        }
    }

    #[test]
    fn rules_and_settings_that_are_alike_are_kept_once() {
        let mut rulebooks = Rulebooks::default();
        let mut chosen = |timeout_s: u32, tracker: Option<Box<TrackerSettings>>| {
            let rules = Rules { session_timeout_s: timeout_s, ..Rules::first("UTC") };
            let rules = Rulebook::try_from(vec![rules]).unwrap();
            let property = Property { rules, tracker, ..property("Shop", &[]) };
            Stored::new(&property, 7, &mut rulebooks).unwrap().chosen
        };
        let usual = chosen(1800, None);
        assert!(Arc::ptr_eq(&usual, &chosen(1800, None)));
        assert!(!Arc::ptr_eq(&usual, &chosen(60, None)));
        assert!(!Arc::ptr_eq(&usual, &chosen(1800, Some(Box::default()))));
        // What a million properties cost is counted by this size: docs/performance.md.
        assert_eq!(size_of::<Stored>(), 176);
    }

    #[test]
    fn property_comes_out_as_it_went_in() {
        let mut rulebooks = Rulebooks::default();
        for (name, hostnames) in [
            ("Shop", &[][..]),
            ("Ünï ✓ p_M-", &["a.example"]),
            ("x", &["a.example", "b.example", "c.example"]),
        ] {
            let property = property(name, hostnames);
            let stored = Stored::new(&property, 7, &mut rulebooks).unwrap();
            assert_eq!((&*stored.property(), stored.stamp()), (&property, 7));
        }
        assert_eq!(rulebooks.known.len(), 1);
    }

    #[test]
    fn property_that_nobody_asks_for_is_let_go() {
        let stored = Stored::new(&property("Shop", &["a.example"]), 7, &mut Rulebooks::default()).unwrap();
        assert!(stored.without_traffic().is_none(), "it was never made");
        let made = stored.property();
        assert!(stored.without_traffic().is_none(), "it was asked for since");
        let idle = stored.without_traffic().unwrap();
        assert!(idle.property.get().is_none());
        assert_eq!((idle.property(), idle.stamp()), (made, 7));
    }
}
