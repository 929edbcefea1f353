//! A request of HTTP as the message of its RPC.
//!
//! In: the values of the path, the query, the body. Out: a message, or a refusal that names the field as the caller wrote it
//! and says what would be right. Every part of a request ends in a field or is refused: nothing is passed over.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json, json};

use super::route::{Body, Route};
use crate::refuse::Refusal;

/// Google's message of names of fields, which JSON has as one word.
const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// The message that a request says.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn message(
    route: &Route,
    path: &[(&str, String)],
    query: &[(String, String)],
    body: &[u8],
) -> Result<DynamicMessage, Refusal> {
    let mut message = DynamicMessage::new(route.rpc.input());
    read_body(&mut message, route, body)?;
    read_query(&mut message, route, query)?;
    for (name, text) in path {
        put(&mut message, name, name, text, true)?;
    }
    Ok(message)
}

fn read_body(message: &mut DynamicMessage, route: &Route, body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    let refused = |problem: String| Refusal::invalid("body", &String::from_utf8_lossy(body), problem);
    let json = || {
        serde_json::from_slice(body)
            .map_err(|error| refused(format!("which is not the JSON expected here: {error}")))
    };
    match &route.body {
        Body::None => {
            let names: Vec<_> = route.query.iter().map(|parameter| parameter.path.as_str()).collect();
            Err(refused(format!("but {route} takes none; {}", parameters(&names))))
        }
        Body::Whole => match json()? {
            Json::Object(fields) => fill(message, fields, ""),
            _ => Err(refused("which is not the JSON expected here: an object".to_owned())),
        },
        Body::Field(field) => match (json()?, message_of(field)) {
            (Json::Object(fields), Some(inner)) => {
                let mut inner = DynamicMessage::new(inner);
                fill(&mut inner, fields, "")?;
                message.set_field(field, Value::Message(inner));
                Ok(())
            }
            (json, _) => set(message, field, json, "body"),
        },
    }
}

fn read_query(
    message: &mut DynamicMessage,
    route: &Route,
    query: &[(String, String)],
) -> Result<(), Refusal> {
    for (place, (name, text)) in query.iter().enumerate() {
        let Some(parameter) = route.query.iter().find(|parameter| parameter.path == *name) else {
            let names: Vec<_> = route.query.iter().map(|parameter| parameter.path.as_str()).collect();
            let problem = format!("but {route} has no such parameter; {}", parameters(&names));
            return Err(Refusal::invalid(name, text, problem));
        };
        let is_again = query.iter().take(place).any(|(before, _)| before == name);
        if is_again && !parameter.field.is_list() {
            return Err(Refusal::invalid(name, text, "but it was given before; give it once"));
        }
        put(message, name, name, text, false)?;
    }
    Ok(())
}

fn parameters(names: &[&str]) -> String {
    match names {
        [] => "it has no parameters in the query".to_owned(),
        names => format!("its parameters in the query are {}", names.join(", ")),
    }
}

/// Sets or adds to the field at `path` what a word says. A field of the path of the request may stand in the body too, if it says the
/// same there.
fn put(
    message: &mut DynamicMessage,
    path: &str,
    name: &str,
    text: &str,
    is_in_path: bool,
) -> Result<(), Refusal> {
    let descriptor = message.descriptor();
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = descriptor.get_field_by_name(first).ok_or_else(|| unknown(&descriptor, name, text))?;
    if let Some(rest) = rest {
        let Some(inner) = message.get_field_mut(&field).as_message_mut() else {
            return Err(unknown(&descriptor, name, text));
        };
        return put(inner, rest, name, text, is_in_path);
    }
    let value = leaf(&field, &word(&field, text), name)?;
    if field.is_list() {
        if let Some(list) = message.get_field_mut(&field).as_list_mut() {
            list.push(value);
        }
        return Ok(());
    }
    if is_in_path && message.has_field(&field) && *message.get_field(&field) != value {
        let problem = format!("but the body says something else; leave {name} out of the body");
        return Err(Refusal::invalid(name, text, problem));
    }
    message.set_field(&field, value);
    Ok(())
}

/// A word of a path or query as JSON has it; what does not fit stays a string, which is refused as such.
fn word(field: &FieldDescriptor, text: &str) -> Json {
    let is_bool = match field.kind() {
        Kind::Bool => true,
        Kind::Message(message) => message.full_name() == "google.protobuf.BoolValue",
        Kind::Enum(_) => return text.parse::<i32>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => false,
    };
    match text {
        "true" if is_bool => json!(true),
        "false" if is_bool => json!(false),
        text => json!(text),
    }
}

/// Sets the fields of an object; `at` is where it stands, `""` or `alias.`.
fn fill(message: &mut DynamicMessage, fields: Map<String, Json>, at: &str) -> Result<(), Refusal> {
    let descriptor = message.descriptor();
    for (name, value) in fields {
        let path = format!("{at}{name}");
        match descriptor.get_field_by_name(&name) {
            Some(field) => set(message, &field, value, &path)?,
            None => return Err(unknown(&descriptor, &path, &shown(&value))),
        }
    }
    Ok(())
}

fn set(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    value: Json,
    path: &str,
) -> Result<(), Refusal> {
    let value = match value {
        // As if it was left out.
        Json::Null if !is_any_json(field) => return Ok(()),
        Json::Array(elements) if field.is_list() => {
            let elements = elements.into_iter().enumerate();
            Value::List(
                elements
                    .map(|(n, value)| element(field, value, &format!("{path}[{n}]")))
                    .collect::<Result<_, _>>()?,
            )
        }
        value if field.is_list() => {
            return Err(Refusal::invalid(path, &shown(&value), "which is not a list"));
        }
        value => element(field, value, path)?,
    };
    message.set_field(field, value);
    Ok(())
}

/// A value, or one of a list.
fn element(field: &FieldDescriptor, value: Json, path: &str) -> Result<Value, Refusal> {
    match (value, message_of(field)) {
        (Json::Object(fields), Some(descriptor)) => {
            let mut message = DynamicMessage::new(descriptor);
            fill(&mut message, fields, &format!("{path}."))?;
            Ok(Value::Message(message))
        }
        (value, _) => leaf(field, &value, path),
    }
}

/// A value without fields of its own, or one that Google's mapping writes in a form of its own.
fn leaf(field: &FieldDescriptor, value: &Json, path: &str) -> Result<Value, Refusal> {
    let refused = || Refusal::invalid(path, &shown(value), format!("which is not {}", expected(field)));
    if let (Kind::Message(message), Json::String(text)) = (field.kind(), value)
        && message.full_name() == FIELD_MASK
    {
        return Ok(Value::Message(field_mask(message, text)));
    }
    let alone = match field.is_list() {
        true => json!({ field.name(): [value] }),
        false => json!({ field.name(): value }),
    };
    // The message as a whole knows how its fields are written; it is asked with this one alone, so that an error is about it.
    let mut message =
        DynamicMessage::deserialize(field.parent_message().clone(), alone).map_err(|_| refused())?;
    match message.take_field(field) {
        Some(Value::List(mut list)) if field.is_list() => list.pop().ok_or_else(refused),
        Some(read) => Ok(read),
        // A default value is not kept.
        None if value.is_null() => Err(refused()),
        None => Ok(field.default_value()),
    }
}

/// Names as they stand in the `.proto` file, as everywhere here; Google's mapping would have them in camelCase.
fn field_mask(descriptor: MessageDescriptor, text: &str) -> DynamicMessage {
    let paths = text.split(',').filter(|path| !path.is_empty()).map(|path| Value::String(path.to_owned()));
    let mut mask = DynamicMessage::new(descriptor);
    mask.set_field_by_name("paths", Value::List(paths.collect()));
    mask
}

/// The message of a field that is written as an object with its fields.
fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_map() && !message.full_name().starts_with("google.protobuf.") => {
            Some(message)
        }
        _ => None,
    }
}

fn is_any_json(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Value")
}

fn unknown(message: &MessageDescriptor, path: &str, value: &str) -> Refusal {
    let names: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
    let problem = match names.as_slice() {
        [] => "but there is no such field here, and no other".to_owned(),
        names => format!("but there is no such field here; the fields are {}", names.join(", ")),
    };
    Refusal::invalid(path, value, problem)
}

/// What fits a field, after "which is not".
fn expected(field: &FieldDescriptor) -> String {
    let text = match field.kind() {
        _ if field.is_map() => "an object with values of its kind",
        Kind::Bool => "true or false",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a whole number from -2147483648 to 2147483647",
        Kind::Uint32 | Kind::Fixed32 => "a whole number from 0 to 4294967295",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a whole number of 64 bits",
        Kind::Uint64 | Kind::Fixed64 => "a whole number of 64 bits that is not negative",
        Kind::Float | Kind::Double => "a number",
        Kind::String => "a string",
        Kind::Bytes => "a string in base64",
        Kind::Enum(values) => {
            let names: Vec<_> = values.values().map(|value| value.name().to_owned()).collect();
            return format!("one of {}", names.join(", "));
        }
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => "a time as in RFC 3339, \"2026-01-31T12:00:00Z\"",
            "google.protobuf.Duration" => "a number of seconds with an s, \"1.5s\"",
            FIELD_MASK => "names of fields with commas between them",
            _ => "an object",
        },
    };
    text.to_owned()
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
