//! All properties at one moment, indexed by what they are looked up by.
//!
//! Immutable: readers hold an `Arc` for as long as a request lasts. Invariant: of two files with the same measurement
//! id or report key the older property wins, whatever order the directory lists them in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::KeyHash;
use crate::model::Property;

/// The properties that were last read.
#[derive(Debug, Default)]
pub struct Snapshot {
    by_id: HashMap<String, Arc<Property>>,
    by_measurement_id: HashMap<String, Arc<Property>>,
    by_report_key: HashMap<KeyHash, Arc<Property>>,
}

impl Snapshot {
    pub(crate) fn of(properties: impl Iterator<Item = Arc<Property>>) -> Self {
        let mut properties: Vec<_> = properties.collect();
        properties.sort_by(|a, b| (a.created_at, &a.property_id).cmp(&(b.created_at, &b.property_id)));
        let mut snapshot = Self::default();
        for property in properties {
            let by_measurement_id = snapshot
                .by_measurement_id
                .entry(property.measurement_id.clone())
                .or_insert_with(|| Arc::clone(&property));
            if by_measurement_id.property_id != property.property_id {
                tracing::error!(
                    measurement_id = property.measurement_id,
                    kept = by_measurement_id.property_id,
                    ignored = property.property_id,
                    "two properties have the same measurement id"
                );
            }
            snapshot.by_report_key.entry(property.report_key_sha256).or_insert_with(|| Arc::clone(&property));
            snapshot.by_id.insert(property.property_id.clone(), property);
        }
        snapshot
    }

    /// The property with this measurement id.
    pub fn by_measurement_id(&self, measurement_id: &str) -> Option<Arc<Property>> {
        self.by_measurement_id.get(measurement_id).cloned()
    }

    /// The property with this id.
    pub fn by_id(&self, property_id: &str) -> Option<Arc<Property>> {
        self.by_id.get(property_id).cloned()
    }

    /// The property that this report key reads. Looked up by hash, so the time tells nothing about other keys.
    pub fn by_report_key(&self, report_key: &str) -> Option<Arc<Property>> {
        let property = self.by_report_key.get(&KeyHash::of(report_key))?;
        property.accepts_report_key(report_key).then(|| Arc::clone(property))
    }

    /// Every property, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Property>> {
        self.by_id.values()
    }

    /// Number of properties.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is no property.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
