//! What records mean: keys and values of properties, their earlier rules, aliases and claims; [`access`] has those that say who may do
//! what, [`quota`] those that say who has had all hits of a day.
//!
//! In: checked values of `property`. Out: records, and back with every field checked again. [`for_edges`] says what of a record goes to
//! edges: what they need to take hits, and nothing that opens reports.

use std::sync::Arc;

use hit::Rules;
use jiff::Timestamp;
use property::retention::check_retention_days;
use property::{Alias, ApiSecret, KeyHash, OwnedAlias, Property, Quota, Rulebook, VisitorKey};
use prost::Message;
use proto::config as wire;

use crate::replica::{Records, ReplicaError};

pub mod access;
pub mod erasures;
pub mod quota;
pub mod streams;

/// `property/p_…`: [`wire::StoredProperty`], [`wire::EdgeProperty`] at edges.
pub const PROPERTY: &str = "property/";
/// `rules/p_…/VERSION`: earlier rules, JSON.
pub const RULES: &str = "rules/";
/// `alias/PROTOCOL/HOSTNAME/ID`: [`wire::StoredAlias`].
pub const ALIAS: &str = "alias/";
/// `alias_of/p_…/PROTOCOL/HOSTNAME/ID`: empty; finds the aliases of a property.
pub const ALIAS_OF: &str = "alias_of/";
/// `property_of/o_…/p_…`: empty; finds the properties of an organisation.
pub const PROPERTY_OF: &str = "property_of/";
/// `measurement_id/M-…`: [`wire::StoredClaim`].
pub const MEASUREMENT_ID: &str = "measurement_id/";
/// [`wire::StoredDeployment`].
pub const DEPLOYMENT: &str = "deployment";

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record {key:?}: {problem}")]
pub struct StoredError {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A record cannot be used.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The copy cannot be read.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

/// A property with what only the api needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedProperty {
    /// As edges know it.
    pub property: Property,
    /// Display name.
    pub name: String,
    /// `o_…`; empty: the operator's.
    pub organisation_id: String,
    /// Days for which what was counted is kept; 0: for ever.
    pub retention_days: u32,
}

/// Key of a property.
pub fn property_key(property_id: &str) -> String {
    format!("{PROPERTY}{property_id}")
}

/// Key of rules that are not in force any more. Ten digits, so that keys sort as versions do.
pub fn rules_key(property_id: &str, version: u32) -> String {
    format!("{RULES}{property_id}/{version:010}")
}

/// Key of an alias.
pub fn alias_key(alias: &Alias) -> String {
    let Alias { protocol, id, hostname } = alias;
    format!("{ALIAS}{protocol}/{hostname}/{id}")
}

/// Key under which a property's alias is found.
pub fn alias_of_key(owned: &OwnedAlias) -> String {
    let Alias { protocol, id, hostname } = &owned.alias;
    format!("{ALIAS_OF}{}/{protocol}/{hostname}/{id}", owned.property_id)
}

/// Key under which an organisation's property is found.
pub fn property_of_key(organisation_id: &str, property_id: &str) -> String {
    format!("{PROPERTY_OF}{organisation_id}/{property_id}")
}

/// Key of the claim of a measurement id.
pub fn measurement_id_key(measurement_id: &str) -> String {
    format!("{MEASUREMENT_ID}{measurement_id}")
}

/// Value of a property.
pub fn property_value(named: &NamedProperty) -> Vec<u8> {
    let NamedProperty { property, name, organisation_id, retention_days } = named;
    let stored = wire::StoredProperty {
        edge: Some(edge_property(property)),
        name: name.clone(),
        organisation_id: organisation_id.clone(),
        retention_days: *retention_days,
    };
    stored.encode_to_vec()
}

/// What edges are told of a property.
pub(crate) fn edge_property(property: &Property) -> wire::EdgeProperty {
    let secret = |secret: &ApiSecret| wire::StoredSecret {
        sha256: secret.hash.bytes().to_vec(),
        expires_at_ms: secret.expires_at_ms,
    };
    wire::EdgeProperty {
        property_id: property.property_id.clone(),
        measurement_id: property.measurement_id.clone(),
        hostnames: property.hostnames.clone(),
        created_at_ms: u64::try_from(property.created_at.as_millisecond()).unwrap_or(0),
        api_secrets: property.api_secrets.iter().map(secret).collect(),
        visitor_key: property.visitor_key.bytes().to_vec(),
        rules_json: rules_value(property.current_rules()),
        tracker_json: property.tracker.as_ref().map(json).unwrap_or_default(),
        data_region: property.data_region.clone(),
        daily_hits: property.quota.daily_hits,
        hits_per_second: property.quota.hits_per_second,
    }
}

/// Value of rules.
pub fn rules_value(rules: &Rules) -> Vec<u8> {
    json(rules)
}

/// Plain values without maps: they can always be written.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Value of an alias.
pub fn alias_value(owned: &OwnedAlias) -> Vec<u8> {
    let OwnedAlias { alias: Alias { protocol, id, hostname }, property_id } = owned.clone();
    wire::StoredAlias { property_id, protocol, id, hostname }.encode_to_vec()
}

/// What of a record edges are told; `None`: nothing.
///
/// # Errors
/// When the record cannot be read.
pub fn for_edges(key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, StoredError> {
    if key.starts_with(PROPERTY) {
        let stored: wire::StoredProperty = decode(key, value)?;
        let edge = stored.edge.ok_or_else(|| wrong(key, "it has no part for edges"))?;
        return Ok(Some(edge.encode_to_vec()));
    }
    if key.starts_with(streams::STREAM) {
        return streams::for_edges(key, value).map(Some);
    }
    if key.starts_with(erasures::ERASURE) {
        return erasures::for_edges(key, value).map(Some);
    }
    Ok(is_for_edges(key).then(|| value.to_vec()))
}

/// Whether a record goes to edges at all.
pub fn is_for_edges(key: &str) -> bool {
    let prefixes = [PROPERTY, RULES, ALIAS, erasures::ERASURE, quota::OVER_QUOTA, streams::STREAM];
    prefixes.iter().any(|prefix| key.starts_with(prefix)) || key == DEPLOYMENT
}

/// A property of the api's records, with all its rules.
///
/// # Errors
/// When a record cannot be read.
pub fn property(records: &dyn Records, property_id: &str) -> Result<Option<NamedProperty>, ReadError> {
    let key = property_key(property_id);
    let Some(value) = records.get(&key)? else { return Ok(None) };
    let stored: wire::StoredProperty = decode(&key, &value)?;
    let edge = stored.edge.ok_or_else(|| wrong(&key, "it has no part for edges"))?;
    let property = read_edge_property(&key, edge, earlier_rules(records, property_id)?)?;
    let wire::StoredProperty { name, organisation_id, retention_days, .. } = stored;
    check_retention_days(retention_days)
        .map_err(|problem| wrong(&key, &format!("retention_days is {retention_days}, {problem}")))?;
    Ok(Some(NamedProperty { property, name, organisation_id, retention_days }))
}

/// For how many local days the property of this record keeps what was counted; 0: for ever.
///
/// # Errors
/// When it cannot be read.
pub fn retention_days(key: &str, value: &[u8]) -> Result<u32, StoredError> {
    Ok(decode::<wire::StoredProperty>(key, value)?.retention_days)
}

/// A property from its record at an edge and its earlier rules.
///
/// # Errors
/// When it cannot be read.
pub fn property_at_edge(key: &str, value: &[u8], earlier: Vec<Rules>) -> Result<Property, StoredError> {
    read_edge_property(key, decode(key, value)?, earlier)
}

/// Rules of a property that are not in force any more, from version 1.
///
/// # Errors
/// When a record cannot be read.
pub fn earlier_rules(records: &dyn Records, property_id: &str) -> Result<Vec<Rules>, ReadError> {
    let mut earlier = Ok(Vec::new());
    records.for_each(&format!("{RULES}{property_id}/"), &mut |key, value| {
        if let Ok(rules) = &mut earlier {
            match read_rules(key, value) {
                Ok(read) => rules.push(read),
                Err(error) => earlier = Err(error),
            }
        }
    })?;
    Ok(earlier?)
}

/// Rules as they are stored.
///
/// # Errors
/// When they cannot be read: a field that this build does not know is an error.
pub fn read_rules(key: &str, value: &[u8]) -> Result<Rules, StoredError> {
    serde_json::from_slice(value).map_err(|error| wrong(key, &unreadable(&error)))
}

/// The property id in the key of earlier rules.
pub fn property_id_of_rules(key: &str) -> Option<&str> {
    Some(key.strip_prefix(RULES)?.split_once('/')?.0)
}

fn read_edge_property(
    key: &str,
    edge: wire::EdgeProperty,
    earlier: Vec<Rules>,
) -> Result<Property, StoredError> {
    let mut rules = earlier;
    rules.push(read_rules(key, &edge.rules_json)?);
    let tracker = match edge.tracker_json.as_slice() {
        [] => None,
        json => Some(serde_json::from_slice(json).map_err(|error| wrong(key, &unreadable(&error)))?),
    };
    let created_at = i64::try_from(edge.created_at_ms).ok();
    let property = Property {
        property_id: edge.property_id,
        measurement_id: edge.measurement_id,
        hostnames: edge.hostnames,
        created_at: created_at
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .ok_or_else(|| wrong(key, "created_at_ms is no time"))?,
        api_secrets: edge
            .api_secrets
            .iter()
            .map(|secret| {
                let sha256: [u8; 32] = secret.sha256.as_slice().try_into().ok()?;
                Some(ApiSecret { hash: KeyHash::from(sha256), expires_at_ms: secret.expires_at_ms })
            })
            .collect::<Option<Arc<[ApiSecret]>>>()
            .ok_or_else(|| wrong(key, "a secret's hash is not 32 bytes long"))?,
        visitor_key: <[u8; 16]>::try_from(edge.visitor_key.as_slice())
            .map(VisitorKey::from)
            .map_err(|_| wrong(key, "visitor_key is not 16 bytes long"))?,
        rules: Rulebook::try_from(rules).map_err(|problem| wrong(key, &problem))?,
        tracker,
        data_region: edge.data_region,
        quota: Quota { daily_hits: edge.daily_hits, hits_per_second: edge.hits_per_second },
    };
    property.check().map_err(|problem| wrong(key, &problem))?;
    if key != property_key(&property.property_id) {
        return Err(wrong(key, &format!("property_id is {:?}, another one", property.property_id)));
    }
    Ok(property)
}

/// An alias as it is stored.
///
/// # Errors
/// When it cannot be read.
pub fn read_alias(key: &str, value: &[u8]) -> Result<OwnedAlias, StoredError> {
    let wire::StoredAlias { property_id, protocol, id, hostname } = decode(key, value)?;
    let owned = OwnedAlias { alias: Alias { protocol, id, hostname }, property_id };
    if key == alias_key(&owned.alias) { Ok(owned) } else { Err(wrong(key, "it is that of another alias")) }
}

/// A value of protobuf.
///
/// # Errors
/// When it cannot be read.
pub fn decode<M: Message + Default>(key: &str, value: &[u8]) -> Result<M, StoredError> {
    M::decode(value).map_err(|error| wrong(key, &error.to_string()))
}

fn wrong(key: &str, problem: &str) -> StoredError {
    StoredError { key: key.to_owned(), problem: problem.to_owned() }
}

fn unreadable(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if said.starts_with("unknown ") {
        return format!("{said}; a newer build may have written it: run that one here, too");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use property::{NewProperty, QuotaChange};

    fn named() -> NamedProperty {
        let new = NewProperty {
            name: "Ünï ✓".into(),
            time_zone: "Asia/Kathmandu".into(),
            currency: "NPR".into(),
            hostnames: vec!["a.example".into()],
            data_region: "eu-1".into(),
            quota: QuotaChange { daily_hits: Some(10_000_000_000), hits_per_second: Some(7) },
        };
        let created = new.create(1_431_857_100_000).unwrap();
        NamedProperty {
            property: created.property,
            name: created.name,
            organisation_id: "o_x".into(),
            retention_days: 400,
        }
    }

    struct Fixed(Vec<(String, Vec<u8>)>);

    impl Records for Fixed {
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ReplicaError> {
            Ok(self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()))
        }
        fn for_each(&self, prefix: &str, told: &mut dyn FnMut(&str, &[u8])) -> Result<(), ReplicaError> {
            self.0.iter().filter(|(k, _)| k.starts_with(prefix)).for_each(|(k, v)| told(k, v));
            Ok(())
        }
    }

    #[test]
    fn a_property_comes_out_as_it_went_in_with_all_its_rules() {
        let mut named = named();
        let file = property::RulesFile::parse("session_timeout_s = 60\n[tracker]\nforms = true\n").unwrap();
        let first = named.property.current_rules().clone();
        named.property = named.property.with_rules(file, 1_431_857_100_000).unwrap().property;
        let id = named.property.property_id.clone();
        let records = Fixed(vec![
            (property_key(&id), property_value(&named)),
            (rules_key(&id, 1), rules_value(&first)),
        ]);
        assert_eq!(property(&records, &id).unwrap(), Some(named.clone()));
        let key = property_key(&id);
        let at_edge = for_edges(&key, &property_value(&named)).unwrap().unwrap();
        let earlier = earlier_rules(&records, &id).unwrap();
        assert_eq!(property_at_edge(&key, &at_edge, earlier).unwrap(), named.property);
        assert!(!at_edge.windows(5).any(|window| window == "Ünï".as_bytes()), "names stay at the api");
    }

    #[test]
    fn keys_that_open_reports_stay_at_the_api() {
        let hash = KeyHash::of("rk_");
        for key in [
            access::key_key(&hash),
            access::key_id_key("k_a"),
            access::key_of_key("o_a", "k_a"),
            access::organisation_key("o_a"),
            access::member_key("o_a", "u_a"),
            access::audit_key("o_a", 7, 0),
            access::FIRST_OWNER.to_owned(),
            property_of_key("o_a", "p_a"),
            measurement_id_key("M-A"),
            format!("{ALIAS_OF}p_a/ga4//G-1"),
            streams::stream_of_key("p_a", "M-A"),
        ] {
            assert!(!is_for_edges(&key) && for_edges(&key, b"").unwrap().is_none(), "{key}");
        }
        for key in [
            property_key("p_a"),
            rules_key("p_a", 1),
            format!("{ALIAS}ga4//G-1"),
            DEPLOYMENT.to_owned(),
            erasures::erasure_key("e_1"),
            quota::key("p_a"),
            streams::stream_key("M-A"),
        ] {
            assert!(is_for_edges(&key), "{key}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_key() {
        let named = named();
        let key = property_key(&named.property.property_id);
        let mut stored = edge_property(&named.property);
        stored.rules_json =
            b"{\"version\":1,\"time_zone\":\"UTC\",\"currency\":\"USD\",\"colour\":1}".to_vec();
        let error = property_at_edge(&key, &stored.encode_to_vec(), Vec::new()).unwrap_err().to_string();
        assert!(error.contains(&key) && error.contains("colour") && error.contains("newer build"), "{error}");
        let good = edge_property(&named.property);
        for (stored, said) in [
            (wire::EdgeProperty { visitor_key: vec![1], ..good.clone() }, "visitor_key"),
            (wire::EdgeProperty { property_id: "p_aaaaaaaaaaaa".into(), ..good.clone() }, "another one"),
            (wire::EdgeProperty { measurement_id: "M-".into(), ..good.clone() }, "measurement_id"),
            (wire::EdgeProperty { data_region: "../eu".into(), ..good.clone() }, "data_region"),
        ] {
            let error = property_at_edge(&key, &stored.encode_to_vec(), Vec::new()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(property_at_edge(&key, b"\xff", Vec::new()).is_err());
    }
}
