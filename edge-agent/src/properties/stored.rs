//! A property in memory: few bytes while nobody asks for it, ready to be handed out while somebody does.
//!
//! An edge may hold a million properties, most of them without traffic. So ids are kept as their characters, texts in one
//! piece, rules once for all properties that have the same. The [`Property`] itself is made at the first look-up, and let
//! go when it was not looked up for some minutes. Invariant: it is the one that was read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use hit::Rules;
use jiff::Timestamp;
use property::{ApiSecret, KeyHash, Property, Quota, Rulebook, TrackerSettings, VisitorKey};

/// Between host names; none of them can contain it.
const SEPARATOR: char = '\n';

/// The random characters of a property id.
pub(crate) type Id = [u8; 12];

/// Those of a measurement id.
pub(super) type MeasurementId = [u8; 10];

/// The characters after `p_`; `None` when the length is not that of a property id.
pub(crate) fn id_of(property_id: &str) -> Option<Id> {
    property_id.strip_prefix("p_")?.as_bytes().try_into().ok()
}

/// The characters after `M-`; `None` when the length is not that of a measurement id.
pub(super) fn measurement_id_of(measurement_id: &str) -> Option<MeasurementId> {
    measurement_id.strip_prefix("M-")?.as_bytes().try_into().ok()
}

/// Almost every property has one secret, which never expires.
#[derive(Debug, Clone, PartialEq)]
enum Secrets {
    One(KeyHash),
    Others(Arc<[ApiSecret]>),
}

/// A property.
#[derive(Debug)]
pub(super) struct Stored {
    id: Id,
    measurement_id: MeasurementId,
    was_used: AtomicBool,
    hostnames: Box<str>,
    created_at_ms: i64,
    api_secrets: Secrets,
    visitor_key: VisitorKey,
    chosen: Arc<Chosen>,
    property: OnceLock<Arc<Property>>,
}

impl Stored {
    /// `None` when the property was not checked.
    pub(super) fn new(property: &Property, rulebooks: &mut Rulebooks) -> Option<Self> {
        Some(Self {
            id: id_of(&property.property_id)?,
            measurement_id: measurement_id_of(&property.measurement_id)?,
            was_used: AtomicBool::new(false),
            hostnames: property.hostnames.join("\n").into_boxed_str(),
            created_at_ms: property.created_at.as_millisecond(),
            api_secrets: match *property.api_secrets {
                [ApiSecret { hash, expires_at_ms: 0 }] => Secrets::One(hash),
                _ => Secrets::Others(Arc::clone(&property.api_secrets)),
            },
            visitor_key: property.visitor_key,
            chosen: rulebooks.shared(property),
            property: OnceLock::new(),
        })
    }

    /// The property; stays made as long as it is asked for now and then.
    pub(super) fn property(&self) -> Arc<Property> {
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
        Arc::clone(self.property.get_or_init(|| Arc::new(self.make())))
    }

    /// The property, made for this call alone.
    fn make(&self) -> Property {
        let hostnames = self.hostnames.split(SEPARATOR).filter(|name| !name.is_empty());
        Property {
            property_id: text("p_", &self.id),
            measurement_id: text("M-", &self.measurement_id),
            hostnames: hostnames.map(str::to_owned).collect(),
            created_at: Timestamp::from_millisecond(self.created_at_ms).unwrap_or(Timestamp::MAX),
            api_secrets: match &self.api_secrets {
                Secrets::One(hash) => Arc::from([ApiSecret { hash: *hash, expires_at_ms: 0 }]),
                Secrets::Others(secrets) => Arc::clone(secrets),
            },
            visitor_key: self.visitor_key,
            rules: self.chosen.rules.clone(),
            tracker: self.chosen.tracker.clone(),
            data_region: self.chosen.data_region.clone(),
            quota: self.chosen.quota,
        }
    }

    /// The same without the property made, if nobody asked for it since the last call.
    pub(super) fn without_traffic(&self) -> Option<Self> {
        let is_idle = self.property.get().is_some() && !self.was_used.swap(false, Ordering::Relaxed);
        is_idle.then(|| Self {
            was_used: AtomicBool::new(false),
            hostnames: self.hostnames.clone(),
            api_secrets: self.api_secrets.clone(),
            chosen: Arc::clone(&self.chosen),
            property: OnceLock::new(),
            ..*self
        })
    }

    /// Whether the other one was made of this.
    pub(super) fn is_like(&self, idle: &Self) -> bool {
        Arc::ptr_eq(&self.chosen, &idle.chosen)
            && self.hostnames == idle.hostnames
            && self.api_secrets == idle.api_secrets
    }

    /// Whether somebody asked for it lately.
    #[cfg(test)]
    pub(super) fn is_made(&self) -> bool {
        self.property.get().is_some()
    }

    pub(super) fn id(&self) -> &Id {
        &self.id
    }

    pub(super) fn measurement_id(&self) -> &MeasurementId {
        &self.measurement_id
    }

    pub(super) fn rules(&self) -> &Rulebook {
        &self.chosen.rules
    }
}

/// Ids are ASCII: they were checked.
fn text(prefix: &str, characters: &[u8]) -> String {
    format!("{prefix}{}", String::from_utf8_lossy(characters))
}

/// What many properties have alike.
#[derive(Debug, PartialEq)]
struct Chosen {
    rules: Rulebook,
    tracker: Option<Box<TrackerSettings>>,
    data_region: String,
    quota: Quota,
}

/// Rules, tracker settings, data regions and quotas that many properties have alike, each kept once.
#[derive(Debug, Default)]
pub(super) struct Rulebooks {
    /// By their JSON.
    known: HashMap<String, Weak<Chosen>>,
    /// Size at which those that nobody has any more are looked for.
    crowded: usize,
}

impl Rulebooks {
    fn shared(&mut self, property: &Property) -> Arc<Chosen> {
        let Property { rules, tracker, data_region, quota, .. } = property;
        let all: Vec<&Rules> = rules.iter().map(Arc::as_ref).collect();
        let text = serde_json::to_string(&(all, tracker, data_region, quota)).unwrap_or_default();
        if let Some(known) = self.known.get(&text).and_then(Weak::upgrade)
            && (&known.rules, &known.tracker, &known.data_region) == (rules, tracker, data_region)
            && known.quota == *quota
        {
            return known;
        }
        if self.known.len() >= self.crowded {
            self.known.retain(|_, chosen| chosen.strong_count() > 0);
            self.crowded = 2 * self.known.len() + 64;
        }
        let chosen = Arc::new(Chosen {
            rules: rules.clone(),
            tracker: tracker.clone(),
            data_region: data_region.clone(),
            quota: *quota,
        });
        self.known.insert(text, Arc::downgrade(&chosen));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(hostnames: &[&str]) -> Property {
        let second = Rules { version: 2, session_timeout_s: 60, ..Rules::first("Asia/Kathmandu") };
        Property {
            property_id: "p_abcdefghij27".into(),
            measurement_id: "M-ABCDEFGH27".into(),
            hostnames: hostnames.iter().map(|&host| host.to_owned()).collect(),
            created_at: "2015-05-17T10:05:00Z".parse().unwrap(),
            api_secrets: Arc::from([ApiSecret { hash: KeyHash::of("a"), expires_at_ms: 0 }]),
            visitor_key: VisitorKey::random().unwrap(),
            rules: Rulebook::try_from(vec![Rules::first("UTC"), second]).unwrap(),
            tracker: Some(Box::new(TrackerSettings { forms: true, ..TrackerSettings::default() })),
            data_region: "eu".into(),
            quota: Quota { daily_hits: 7, hits_per_second: 3 },
        }
    }

    #[test]
    fn rules_and_settings_that_are_alike_are_kept_once() {
        let mut rulebooks = Rulebooks::default();
        let mut chosen = |timeout_s: u32, tracker: Option<Box<TrackerSettings>>, region: &str| {
            let rules = Rules { session_timeout_s: timeout_s, ..Rules::first("UTC") };
            let rules = Rulebook::try_from(vec![rules]).unwrap();
            let property = Property { rules, tracker, data_region: region.into(), ..property(&[]) };
            Stored::new(&property, &mut rulebooks).unwrap().chosen
        };
        let usual = chosen(1800, None, "eu");
        assert!(Arc::ptr_eq(&usual, &chosen(1800, None, "eu")));
        assert!(!Arc::ptr_eq(&usual, &chosen(60, None, "eu")));
        assert!(!Arc::ptr_eq(&usual, &chosen(1800, Some(Box::default()), "eu")));
        assert!(!Arc::ptr_eq(&usual, &chosen(1800, None, "")));
        let quota = Quota { daily_hits: 8, hits_per_second: 3 };
        let other = Stored::new(&Property { quota, ..property(&[]) }, &mut rulebooks).unwrap().chosen;
        assert!(!Arc::ptr_eq(&other, &Stored::new(&property(&[]), &mut rulebooks).unwrap().chosen));
        // What a million properties cost is counted by this size: docs/performance.md.
        assert_eq!(size_of::<Stored>(), 128);
    }

    #[test]
    fn property_comes_out_as_it_went_in() {
        let mut rulebooks = Rulebooks::default();
        let several = [("a", 0), ("b", 7)];
        let several =
            several.map(|(secret, expires_at_ms)| ApiSecret { hash: KeyHash::of(secret), expires_at_ms });
        for (hostnames, secrets) in [
            (&[][..], &several[..1]),
            (&["a.example"], &several[..]),
            (&["a.example", "b.example", "c.example"], &several[1..]),
        ] {
            let property = Property { api_secrets: secrets.into(), ..property(hostnames) };
            assert_eq!(*Stored::new(&property, &mut rulebooks).unwrap().property(), property);
        }
        assert_eq!(rulebooks.known.len(), 1);
    }

    #[test]
    fn property_that_nobody_asks_for_is_let_go() {
        let stored = Stored::new(&property(&["a.example"]), &mut Rulebooks::default()).unwrap();
        assert!(stored.without_traffic().is_none(), "it was never made");
        let made = stored.property();
        assert!(stored.without_traffic().is_none(), "it was asked for since");
        let idle = stored.without_traffic().unwrap();
        assert!(!idle.is_made());
        assert_eq!(idle.property(), made);
    }
}
