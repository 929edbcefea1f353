//! All properties at one moment, indexed by what they are looked up by.
//!
//! Immutable: readers hold an `Arc` for as long as a request lasts. The indexes hold places alone, and the one by report
//! key is made when the first report key comes: an edge has no use for it. Invariant: of two files with the same
//! measurement id or report key the older property wins, whatever order the directory lists them in.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hit::Rules;

use crate::key::KeyHash;
use crate::model::Property;
use crate::stored::{Id, MeasurementId, Stored, id_of, measurement_id_of};

/// The properties that were last read.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By age.
    all: Box<[Arc<Stored>]>,
    hashes: RandomState,
    by_id: Places,
    by_measurement_id: Places,
    by_report_key: OnceLock<Places>,
}

/// Places in [`Snapshot::all`] by one of the properties' fields.
type Places = HashTable<u32>;

impl Snapshot {
    pub(crate) fn of(mut properties: Vec<Arc<Stored>>) -> Self {
        properties.sort_by(|a, b| a.age().cmp(&b.age()));
        let mut snapshot = Self { all: properties.into_boxed_slice(), ..Self::default() };
        snapshot.by_id = snapshot.index(|property| property.id());
        snapshot.by_measurement_id = snapshot.index(|property| property.measurement_id());
        if snapshot.by_measurement_id.len() < snapshot.all.len() {
            snapshot.tell_shared_measurement_ids();
        }
        snapshot
    }

    /// The property with this measurement id.
    pub fn by_measurement_id(&self, measurement_id: &str) -> Option<Arc<Property>> {
        let measurement_id: MeasurementId = measurement_id_of(measurement_id)?;
        let found =
            self.find(&self.by_measurement_id, &measurement_id, |property| property.measurement_id())?;
        Some(found.1.property())
    }

    /// The property with this id.
    pub fn by_id(&self, property_id: &str) -> Option<Arc<Property>> {
        Some(self.stored(&id_of(property_id)?)?.1.property())
    }

    /// This version of the rules of this property.
    pub fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        self.stored(&id_of(property_id)?)?.1.rules().version(version).cloned()
    }

    /// The property that this report key reads. Looked up by hash, so the time tells nothing about other keys.
    pub fn by_report_key(&self, report_key: &str) -> Option<Arc<Property>> {
        let places = self.by_report_key.get_or_init(|| self.index(|property| property.report_key_sha256()));
        let found = self.find(places, &KeyHash::of(report_key), |property| property.report_key_sha256())?;
        let property = found.1.property();
        property.accepts_report_key(report_key).then_some(property)
    }

    /// Every property, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Property> + '_ {
        self.all.iter().map(|property| property.make())
    }

    /// Number of properties.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is no property.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Every property as it is kept, in the order of places.
    pub(crate) fn all(&self) -> &[Arc<Stored>] {
        &self.all
    }

    /// Place of a property, and the property as it is kept.
    pub(crate) fn stored(&self, id: &Id) -> Option<(usize, &Arc<Stored>)> {
        self.find(&self.by_id, id, |property| property.id())
    }

    fn find<F: Eq + Hash>(
        &self,
        places: &Places,
        value: &F,
        field: impl Fn(&Stored) -> &F,
    ) -> Option<(usize, &Arc<Stored>)> {
        let is_same = |place: &u32| self.at(*place).is_some_and(|property| field(property) == value);
        let place = *places.find(self.hashes.hash_one(value), is_same)?;
        Some((usize::try_from(place).ok()?, self.at(place)?))
    }

    /// The first property of each value of a field.
    fn index<F: Eq + Hash>(&self, field: impl Fn(&Stored) -> &F) -> Places {
        let mut places = Places::with_capacity(self.all.len());
        let hash = |place: &u32| self.at(*place).map_or(0, |property| self.hashes.hash_one(field(property)));
        for (place, property) in (0_u32..).zip(&self.all) {
            if self.find(&places, field(property), &field).is_none() {
                places.insert_unique(self.hashes.hash_one(field(property)), place, hash);
            }
        }
        places
    }

    fn at(&self, place: u32) -> Option<&Arc<Stored>> {
        self.all.get(usize::try_from(place).ok()?)
    }

    fn tell_shared_measurement_ids(&self) {
        for property in &self.all {
            let first =
                self.find(&self.by_measurement_id, property.measurement_id(), |first| first.measurement_id());
            if let Some((_, first)) = first
                && first.id() != property.id()
            {
                let (kept, ignored) = (first.make(), property.make());
                tracing::error!(
                    measurement_id = kept.measurement_id,
                    kept = kept.property_id,
                    ignored = ignored.property_id,
                    "two properties have the same measurement id"
                );
            }
        }
    }
}
