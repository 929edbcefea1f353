//! Messages, enums and fields of `.proto` files as JSON schemas.
//!
//! In: descriptors. Out: schemas that refer to each other by the full names of the messages, with the comments as
//! descriptions and the properties in the order of the file.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, prost_types};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// A schema of the document.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Schema {
    /// A message.
    Object(Object),
    /// Anything else.
    Value(Value),
}

/// The schema of a message.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "object")]
pub(super) struct Object {
    pub(super) description: String,
    #[serde(serialize_with = "in_order")]
    pub(super) properties: Vec<(String, Value)>,
}

/// The schemas that others refer to, by name.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    /// `None` while it is made: a message may hold itself.
    all: BTreeMap<String, Option<Schema>>,
}

impl Schemas {
    /// Refers to a message.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let name = message.full_name();
        if !self.all.contains_key(name) {
            self.all.insert(name.to_owned(), None);
            let object = self.object(message, |_field| true);
            self.insert(name, Schema::Object(object));
        }
        reference(name)
    }

    /// The message with those of its fields.
    pub(super) fn object(&mut self, message: &MessageDescriptor, is_wanted: impl Fn(&str) -> bool) -> Object {
        let mut fields: Vec<_> = message.fields().filter(|field| is_wanted(field.name())).collect();
        fields.sort_by_key(|field| field.path().last().copied());
        Object {
            description: comment(&message.parent_file(), message.path()),
            properties: fields.iter().map(|field| (field.name().to_owned(), self.field(field))).collect(),
        }
    }

    /// A field with what its comment says.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = self.field_without_description(field);
        let description = comment(&field.parent_file(), field.path());
        if let Some(object) = schema.as_object_mut().filter(|_| !description.is_empty()) {
            object.insert("description".to_owned(), description.into());
        }
        schema
    }

    pub(super) fn field_without_description(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.kind(&entry.map_entry_value_field().kind());
                json!({ "type": "object", "additionalProperties": values })
            }
            kind if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            kind => self.kind(&kind),
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "integer", "format": "int64" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0 }),
            Kind::Message(message) => self.message(message),
            Kind::Enum(values) => {
                let names: Vec<_> = values.values().map(|value| value.name().to_owned()).collect();
                let description = comment(&values.parent_file(), values.path());
                let schema = json!({ "type": "string", "enum": names, "description": description });
                self.insert(values.full_name(), Schema::Value(schema));
                reference(values.full_name())
            }
        }
    }

    /// Adds one under a name.
    pub(super) fn insert(&mut self, name: &str, schema: Schema) {
        self.all.insert(name.to_owned(), Some(schema));
    }

    /// All that was referred to.
    pub(super) fn into_all(self) -> BTreeMap<String, Schema> {
        self.all.into_iter().filter_map(|(name, schema)| Some((name, schema?))).collect()
    }
}

/// Refers to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What a `.proto` file says above the thing at this path of its descriptor, as one paragraph.
pub(super) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map(prost_types::source_code_info::Location::leading_comments).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Google's own messages, in the forms that JSON gives them.
fn well_known(name: &str) -> Option<Value> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "description": "Seconds with an s: \"1.5s\"." }),
        "FieldMask" => {
            json!({ "type": "string", "description": "Names of fields with commas between them." })
        }
        "StringValue" => json!({ "type": ["string", "null"] }),
        "BytesValue" => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        "BoolValue" => json!({ "type": ["boolean", "null"] }),
        "FloatValue" | "DoubleValue" => json!({ "type": ["number", "null"] }),
        "Int32Value" | "Int64Value" | "UInt32Value" | "UInt64Value" => json!({ "type": ["integer", "null"] }),
        "Struct" | "Any" | "Empty" => json!({ "type": "object" }),
        "ListValue" => json!({ "type": "array" }),
        "Value" => json!({}),
        _ => return None,
    })
}

fn in_order<S: Serializer>(properties: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(properties.iter().map(|(name, schema)| (name, schema)))
}
