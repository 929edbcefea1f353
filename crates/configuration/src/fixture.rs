//! Copies of a configuration made and changed without apis: for tests, and for measuring.

use std::path::Path;
use std::sync::Arc;

use property::{OwnedAlias, Property};
use prost::Message as _;
use proto::config as wire;

use crate::position::{Checksum, Position, SCHEMA};
use crate::replica::{ApplyError, NoView, Records as _, Replica, ReplicaError};
use crate::stored;

/// Records of a part.
const TOGETHER: usize = 1_000;

/// Makes `path` hold version 1 of a new history, with these properties (each of them with one version of rules) and aliases.
///
/// # Errors
/// When the file cannot be written, or is there.
pub fn edge_copy(
    path: &Path,
    properties: impl Iterator<Item = Property> + Clone,
    aliases: &[OwnedAlias],
) -> Result<(), ApplyError> {
    let deployment = wire::StoredDeployment { created_at_ms: 0 }.encode_to_vec();
    let first = std::iter::once((stored::DEPLOYMENT.to_owned(), deployment));
    let properties = properties.map(|property| {
        (stored::property_key(&property.property_id), stored::edge_property(&property).encode_to_vec())
    });
    let aliases = aliases.iter().map(|owned| (stored::alias_key(&owned.alias), stored::alias_value(owned)));
    let all = first.chain(properties).chain(aliases);
    let (mut checksum, mut records) = (Checksum::default(), 0);
    for (key, value) in all.clone() {
        checksum = checksum.with(&key, &value);
        records += 1;
    }
    let replica = Replica::open(path, 64 << 20, Arc::new(NoView))?;
    let position = Position { history: [1; 16], generation: 0, version: 1, checksum };
    let begin = wire::SnapshotBegin { position: Some(position.into()), records, schema: SCHEMA };
    let Some(mut replacing) = replica.begin(&begin, Position::default())? else { return Ok(()) };
    let mut batch = Vec::with_capacity(TOGETHER);
    for (key, value) in all {
        batch.push(wire::Record { key, value: Some(value) });
        if batch.len() == TOGETHER {
            replacing.records(&batch)?;
            batch.clear();
        }
    }
    replacing.records(&batch)?;
    replacing.end()
}

/// The delta to the next version of a copy.
///
/// # Errors
/// When the copy cannot be read.
pub fn next(copy: &Replica, records: Vec<wire::Record>) -> Result<wire::Delta, ReplicaError> {
    let reader = copy.read()?;
    let at = reader.position()?;
    let mut checksum = at.checksum;
    for record in &records {
        if let Some(before) = reader.get(&record.key)? {
            checksum = checksum.without(&record.key, &before);
        }
        if let Some(after) = &record.value {
            checksum = checksum.with(&record.key, after);
        }
    }
    let position = Position { version: at.version + 1, checksum, ..at };
    Ok(wire::Delta { position: Some(position.into()), records, schema: SCHEMA })
}

/// What edges are told of a property that has this version of rules alone.
pub fn property(property: &Property) -> wire::Record {
    let value = stored::edge_property(property).encode_to_vec();
    wire::Record { key: stored::property_key(&property.property_id), value: Some(value) }
}

/// What edges are told of rules that were in force before.
pub fn earlier_rules(property: &Property) -> Vec<wire::Record> {
    let earlier = property.rules.iter().filter(|rules| rules.version < property.current_rules().version);
    let record = |rules: &Arc<hit::Rules>| wire::Record {
        key: stored::rules_key(&property.property_id, rules.version),
        value: Some(stored::rules_value(rules)),
    };
    earlier.map(record).collect()
}

/// What edges are told of an alias: that it is there, or no more.
pub fn alias(owned: &OwnedAlias, is_there: bool) -> wire::Record {
    wire::Record { key: stored::alias_key(&owned.alias), value: is_there.then(|| stored::alias_value(owned)) }
}
