//! Whom a change is about, so that who reads the audit of one organisation need not read the whole log.
//!
//! In: a change's writes and the state after it. Out: a record `audit/o_…/VERSION/N` for the organisation, in the same version. What is
//! not an organisation's (the api's own, indexes) has none; what is the operator's stands under an empty id.

use std::collections::{BTreeMap, BTreeSet};

use configuration::replica::Records;
use configuration::stored::{self, ReadError, access, decode, property_id_of_rules};
use prost::Message as _;
use proto::config::{Actor, StoredAlias, StoredAudit, StoredErasure, StoredKey, StoredProperty, Write};

use super::StartError;

/// Whose a record is, and the properties that it is about.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    organisation_id: Option<String>,
    property_ids: Vec<String>,
}

/// The records for a change, the `nth` of its version.
pub(super) fn index(
    after: &dyn Records,
    (version, nth): (u64, usize),
    actor: &Actor,
    writes: &[Write],
) -> Result<Vec<Write>, StartError> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for write in writes {
        let About { organisation_id, property_ids } = about(after, write).map_err(damaged)?;
        if let Some(organisation_id) = organisation_id {
            all.entry(organisation_id).or_default().extend(property_ids);
        }
    }
    let member_id = if actor.kind == "member" { actor.id.clone() } else { String::new() };
    let record = |(organisation_id, property_ids): (String, BTreeSet<String>)| Write {
        key: access::audit_key(&organisation_id, version, nth),
        before: None,
        after: Some(
            StoredAudit { member_id: member_id.clone(), property_ids: property_ids.into_iter().collect() }
                .encode_to_vec(),
        ),
    };
    Ok(all.into_iter().map(record).collect())
}

fn about(after: &dyn Records, write: &Write) -> Result<About, ReadError> {
    let (key, value) = (write.key.as_str(), write.after.as_ref().or(write.before.as_ref()));
    let Some(value) = value else { return Ok(About::default()) };
    let of_organisation = |id: &str| About { organisation_id: Some(id.to_owned()), property_ids: Vec::new() };
    if let Some(id) = key.strip_prefix(access::ORGANISATION) {
        return Ok(of_organisation(id));
    }
    if let Some((id, _member_id)) = key.strip_prefix(access::MEMBER).and_then(|rest| rest.split_once('/')) {
        return Ok(of_organisation(id));
    }
    if key.starts_with(access::KEY) {
        let StoredKey { organisation_id, property_ids, .. } = decode(key, value)?;
        return Ok(About { organisation_id: Some(organisation_id), property_ids });
    }
    if let Some(id) = key.strip_prefix(stored::PROPERTY) {
        let StoredProperty { organisation_id, .. } = decode(key, value)?;
        return Ok(About { organisation_id: Some(organisation_id), property_ids: vec![id.to_owned()] });
    }
    if key.starts_with(stored::erasures::ERASURE) {
        let StoredErasure { organisation_id, property_id, .. } = decode(key, value)?;
        return Ok(About { organisation_id: Some(organisation_id), property_ids: vec![property_id] });
    }
    let property_id = if key.starts_with(stored::streams::STREAM) {
        stored::streams::read_stream(key, value)?.property_id
    } else if key.starts_with(stored::ALIAS) {
        let StoredAlias { property_id, .. } = decode(key, value)?;
        property_id
    } else if let Some(property_id) = property_id_of_rules(key) {
        property_id.to_owned()
    } else {
        return Ok(About::default());
    };
    let property = stored::property_key(&property_id);
    let Some(value) = after.get(&property)? else { return Ok(About::default()) };
    let StoredProperty { organisation_id, .. } = decode(&property, &value)?;
    Ok(About { organisation_id: Some(organisation_id), property_ids: vec![property_id] })
}

fn damaged(error: ReadError) -> StartError {
    match error {
        ReadError::Replica(error) => error.into(),
        ReadError::Stored(error) => {
            configuration::Refused::Corrupt { version: 0, problem: error.to_string() }.into()
        }
    }
}
