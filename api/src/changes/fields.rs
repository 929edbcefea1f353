//! What a record was before and after a change, field by field, for people.
//!
//! In: writes of the log. Out: the fields that differ, as JSON. Invariant: no secret and no hash comes out: they are bytes in every message,
//! and of bytes only those are shown that hold JSON, by their name. Records that only help to find others are left out; a key is called by
//! its id, for the name of its record is its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use configuration::stored::{self, access};
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use proto::config::Write;
use serde_json::{Map, Value as Json, json};

static MESSAGES: LazyLock<Result<DescriptorPool, DescriptorError>> =
    LazyLock::new(|| DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET));

/// The records that are shown, and what they hold. Earlier rules are not: what changed of them is among the fields of the property.
const SHOWN: [(&str, &str); 8] = [
    (access::ORGANISATION, "StoredOrganisation"),
    (access::MEMBER, "StoredMember"),
    (access::KEY, "StoredKey"),
    (stored::PROPERTY, "StoredProperty"),
    (stored::ALIAS, "StoredAlias"),
    (stored::streams::STREAM, "StoredStream"),
    (stored::quota::OVER_QUOTA, "StoredOverQuota"),
    (stored::erasures::ERASURE, "StoredErasure"),
];

/// Bytes with this at the end of their name hold JSON.
const JSON_SUFFIX: &str = "_json";

/// What a record was and is.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordChange {
    /// `property/p_…`
    pub record: String,
    /// By field.
    pub fields: Vec<ValueChange>,
}

/// What a field was and is; `None`: there was none.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueChange {
    /// `rules.session_timeout_s`
    pub field: String,
    /// Before.
    pub before: Option<Json>,
    /// After.
    pub after: Option<Json>,
}

/// A record of the log that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShowError {
    /// Not with descriptors that the build made.
    #[error("the descriptors of the .proto files cannot be read: {0}")]
    Descriptors(&'static DescriptorError),
    /// The build has no such message.
    #[error("there is no message {0}")]
    Message(&'static str),
    /// The value is none of its message.
    #[error("the record {0:?} cannot be read")]
    Record(String),
}

/// The records that people may see of these writes.
pub(super) fn records(writes: &[Write]) -> Result<Vec<RecordChange>, ShowError> {
    let mut records = Vec::new();
    for write in writes {
        let Some((_, message)) = SHOWN.iter().find(|(prefix, _)| write.key.starts_with(prefix)) else {
            continue;
        };
        let (before, after) = (read(message, write, &write.before)?, read(message, write, &write.after)?);
        records.push(RecordChange {
            record: name(write, &before, &after),
            fields: differences(&before, &after),
        });
    }
    Ok(records)
}

type Fields = BTreeMap<String, Json>;

fn name(write: &Write, before: &Fields, after: &Fields) -> String {
    if !write.key.starts_with(access::KEY) {
        return write.key.clone();
    }
    let id = after.get("key_id").or_else(|| before.get("key_id")).and_then(Json::as_str);
    format!("{}{}", access::KEY, id.unwrap_or_default())
}

fn differences(before: &Fields, after: &Fields) -> Vec<ValueChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| ValueChange {
        field: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    };
    names.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// The fields of a value; none if there is no value.
fn read(message: &'static str, write: &Write, value: &Option<Vec<u8>>) -> Result<Fields, ShowError> {
    let mut fields = Fields::new();
    let Some(value) = value else { return Ok(fields) };
    let pool = MESSAGES.as_ref().map_err(ShowError::Descriptors)?;
    let full = format!("meridian.config.v1.{message}");
    let descriptor = pool.get_message_by_name(&full).ok_or(ShowError::Message(message))?;
    let read = DynamicMessage::decode(descriptor, value.as_slice())
        .map_err(|_| ShowError::Record(write.key.clone()))?;
    for (name, value) in object(&read) {
        // What edges get of a property is a part of it for us only.
        match (name.as_str(), value) {
            ("edge", Json::Object(inner)) => {
                inner.into_iter().for_each(|(name, value)| flat(&mut fields, name, value));
            }
            (_, value) => flat(&mut fields, name, value),
        }
    }
    Ok(fields)
}

/// Objects become fields with dots; lists stay whole.
fn flat(fields: &mut Fields, name: String, value: Json) {
    match value {
        Json::Object(inner) => {
            inner.into_iter().for_each(|(field, value)| flat(fields, format!("{name}.{field}"), value));
        }
        value => {
            fields.insert(name, value);
        }
    }
}

/// A message without its bytes.
fn object(message: &DynamicMessage) -> Map<String, Json> {
    let descriptor: MessageDescriptor = prost_reflect::ReflectMessage::descriptor(message);
    let fields = descriptor.fields().filter_map(|field| {
        let value = message.get_field(&field);
        let name = field.name();
        match (field.kind(), &*value) {
            (Kind::Bytes, Value::Bytes(bytes)) => {
                let name = name.strip_suffix(JSON_SUFFIX)?;
                Some((name.to_owned(), serde_json::from_slice(bytes).ok()?))
            }
            (Kind::Bytes, _) => None,
            (Kind::Message(_), Value::Message(_)) if !message.has_field(&field) => None,
            (_, value) => Some((name.to_owned(), shown(&field, value)?)),
        }
    });
    fields.collect()
}

/// `None`: of a kind that no record has.
fn shown(field: &FieldDescriptor, value: &Value) -> Option<Json> {
    Some(match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::F32(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::String(value) => json!(value),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(values) => {
                values.get_value(*number).map_or(json!(number), |value| json!(word(value.name())))
            }
            _ => json!(number),
        },
        Value::Message(message) => Json::Object(object(message)),
        Value::List(values) => Json::Array(values.iter().filter_map(|value| shown(field, value)).collect()),
        Value::Bytes(_) | Value::Map(_) => return None,
    })
}

/// `ROLE_OWNER` as callers write it: `owner`.
fn word(name: &str) -> String {
    name.split_once('_').map_or(name, |(_, word)| word).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
