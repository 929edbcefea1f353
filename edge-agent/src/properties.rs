//! The properties as hits are looked up: by measurement id, their own or a data stream's, by alias, and their rules by version.
//!
//! In: the records of the configuration, all at first and then those that changed. Out: properties. A change costs what it changes,
//! however many there are; who looks up never waits for a disk. Before the first version there is nothing, and hits are refused.

mod index;
mod stored;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use configuration::replica::{Install, Records, View};
use configuration::stored::erasures::{ERASURE, read_erasure};
use configuration::stored::quota::{self, OVER_QUOTA, OverQuota};
use configuration::stored::streams::{STREAM, read_stream, stream_key};
use configuration::stored::{ALIAS, PROPERTY, RULES};
use hit::{Rules, RulesSource};
use property::{Alias, Property};
use proto::config::Record;
use tokio_util::sync::CancellationToken;

use self::index::Index;
pub(crate) use self::stored::{Id, id_of};

/// How often properties without traffic are let go.
const REST: Duration = Duration::from_secs(600);

/// The properties in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Properties {
    index: Arc<RwLock<Index>>,
}

/// What a version has otherwise than the one before; `None`: gone.
#[derive(Debug, Default)]
struct Changes {
    properties: Vec<(String, Option<Property>)>,
    /// Properties of aliases and data streams, by the key of their record.
    keys: Vec<(String, Option<String>)>,
    over_quota: Vec<(String, Option<OverQuota>)>,
}

impl Properties {
    /// Whether there is a version at all.
    pub(crate) fn are_known(&self) -> bool {
        self.read().is_filled()
    }

    /// The property with this measurement id, or with a data stream that has it.
    pub(crate) fn by_measurement_id(&self, measurement_id: &str) -> Option<Arc<Property>> {
        let index = self.read();
        let of_stream = || index.by_key(&stream_key(measurement_id));
        index.by_measurement_id(measurement_id).or_else(of_stream).map(|stored| stored.property())
    }

    /// The property that another product's client means by an id. `hostname` is the page's where ids of the protocol are not
    /// unique, otherwise empty.
    pub(crate) fn by_alias(&self, protocol: &str, id: &str, hostname: &str) -> Option<Arc<Property>> {
        let alias = Alias { protocol: protocol.to_owned(), id: id.to_owned(), hostname: hostname.to_owned() };
        self.read().by_key(&configuration::stored::alias_key(&alias)).map(|stored| stored.property())
    }

    /// What apis have counted of a property that has a quota, if it was all of it.
    pub(crate) fn over_quota(&self, id: &Id) -> Option<OverQuota> {
        self.read().over_quota(id)
    }

    /// Lets go of what is made of properties that nobody asks for, now and then until shutdown.
    pub(crate) async fn rest(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            }
            let properties = self.clone();
            tokio::task::spawn_blocking(move || properties.let_go_of_idle()).await?;
        }
    }

    fn let_go_of_idle(&self) {
        let idle = self.read().idle();
        // Each for itself, so that look-ups come in between.
        idle.into_iter().for_each(|stored| self.write().replace_idle(stored));
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare_all(&self, records: &dyn Records) -> Result<Install, String> {
        let mut earlier: HashMap<String, Vec<Rules>> = HashMap::new();
        let mut all = Index::default();
        let mut wrong = None;
        let read = records.for_each(RULES, &mut |key, value| {
            let id = configuration::stored::property_id_of_rules(key).unwrap_or_default();
            match configuration::stored::read_rules(key, value) {
                Ok(rules) => earlier.entry(id.to_owned()).or_default().push(rules),
                Err(error) => wrong = Some(error.to_string()),
            }
        });
        read.map_err(|error| error.to_string())?;
        let read = records.for_each("", &mut |key, value| {
            let taken = if let Some(id) = key.strip_prefix(PROPERTY) {
                configuration::stored::property_at_edge(key, value, earlier.remove(id).unwrap_or_default())
                    .map(|property| all.set(&property))
            } else if key.starts_with(ALIAS) {
                configuration::stored::read_alias(key, value)
                    .map(|owned| all.set_key(key, Some(&owned.property_id)))
            } else if key.starts_with(STREAM) {
                read_stream(key, value).map(|stream| all.set_key(key, Some(&stream.property_id)))
            } else if key.starts_with(OVER_QUOTA) {
                quota::read(key, value).map(|(id, over)| all.set_over_quota(&id, Some(over)))
            } else if key.starts_with(ERASURE) {
                // Others make use of it; a version with one that cannot be read is refused here.
                read_erasure(key, value).map(drop)
            } else {
                all.fill();
                Ok(())
            };
            if let Err(error) = taken {
                wrong = Some(error.to_string());
            }
        });
        read.map_err(|error| error.to_string())?;
        if let Some(problem) = wrong {
            return Err(problem);
        }
        let here = self.clone();
        Ok(Box::new(move || *here.write() = all))
    }

    fn prepare_changed(&self, records: &dyn Records, changed: &[Record]) -> Result<Install, String> {
        let (mut ids, mut changes) = (BTreeSet::new(), Changes::default());
        for record in changed {
            let key = record.key.as_str();
            if let Some(id) = key.strip_prefix(PROPERTY) {
                ids.insert(id.to_owned());
            } else if let Some(id) = configuration::stored::property_id_of_rules(key) {
                ids.insert(id.to_owned());
            } else if key.starts_with(ALIAS) {
                let owned = record.value.as_ref().map(|value| configuration::stored::read_alias(key, value));
                let owned = owned.transpose().map_err(|error| error.to_string())?;
                changes.keys.push((record.key.clone(), owned.map(|owned| owned.property_id)));
            } else if key.starts_with(STREAM) {
                let stream = record.value.as_ref().map(|value| read_stream(key, value));
                let stream = stream.transpose().map_err(|error| error.to_string())?;
                changes.keys.push((record.key.clone(), stream.map(|stream| stream.property_id)));
            } else if let Some(id) = key.strip_prefix(OVER_QUOTA) {
                let read = record.value.as_ref().map(|value| quota::read(key, value));
                let over = read.transpose().map_err(|error| error.to_string())?.map(|(_, over)| over);
                changes.over_quota.push((id.to_owned(), over));
            } else if let Some(value) = record.value.as_ref().filter(|_| key.starts_with(ERASURE)) {
                read_erasure(key, value).map_err(|error| error.to_string())?;
            }
        }
        changes.properties = ids
            .into_iter()
            .map(|id| read_property(records, &id).map(|property| (id, property)))
            .collect::<Result<_, _>>()?;
        let here = self.clone();
        Ok(Box::new(move || here.install(&changes)))
    }

    fn install(&self, changes: &Changes) {
        let mut index = self.write();
        index.fill();
        for (id, property) in &changes.properties {
            match property {
                Some(property) => index.set(property),
                None => index.remove(id),
            }
        }
        for (key, property_id) in &changes.keys {
            index.set_key(key, property_id.as_deref());
        }
        for (id, over) in &changes.over_quota {
            index.set_over_quota(id, *over);
        }
    }
}

fn read_property(records: &dyn Records, id: &str) -> Result<Option<Property>, String> {
    let key = configuration::stored::property_key(id);
    let Some(value) = records.get(&key).map_err(|error| error.to_string())? else { return Ok(None) };
    let earlier = configuration::stored::earlier_rules(records, id).map_err(|error| error.to_string())?;
    let property = configuration::stored::property_at_edge(&key, &value, earlier);
    property.map(Some).map_err(|error| error.to_string())
}

impl View for Properties {
    fn prepare(&self, records: &dyn Records, changed: Option<&[Record]>) -> Result<Install, String> {
        match changed {
            None => self.prepare_all(records),
            Some(changed) => self.prepare_changed(records, changed),
        }
    }
}

impl RulesSource for Properties {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        let id = id_of(property_id)?;
        self.read().by_id(&id)?.rules().version(version).cloned()
    }
}

#[cfg(test)]
mod tests;
