//! The file of `meridian config export` and `apply`: what is configured, as people write it (docs/configuration.md).
//!
//! In: YAML or JSON. Out: the same as a tree, or one sentence with the place, what is wrong, and what would be right. What is left out is
//! `None` and stays as it is. Invariant: a tree that is written and read again is the same tree. A new plain field of a property is one
//! line here.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use property::RulesFile;
use proto::config as wire;
use serde::{Deserialize, Serialize};

use super::entry::Field;
use super::sparse;
use crate::member::Role;

/// Longest file, bytes: some ten thousand properties with rules of their own.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table of organisations, properties, keys")]
pub(super) struct Model {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organisations: Option<Vec<Organisation>>,
    /// The operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) properties: Option<Vec<Property>>,
    /// The operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<Key>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table that describes an organisation")]
pub(super) struct Organisation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) properties: Option<Vec<Property>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<Key>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with the email of a member")]
pub(super) struct Member {
    pub(super) email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
}

/// A report key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with the name of a key")]
pub(super) struct Key {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scopes: Option<Vec<String>>,
    /// By id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) properties: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) all_properties: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
}

/// What another product calls the site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with protocol and id of an alias")]
pub(super) struct Alias {
    pub(super) protocol: String,
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) hostname: String,
}

/// A property: its plain fields, which messages of the api have under the same names, and its lists and rules.
macro_rules! property {
    ($($field:ident: $kind:ty,)*) => {
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "a table that describes a property")]
        pub(super) struct Property {
            #[serde(skip_serializing_if = "Option::is_none")]
            pub(super) id: Option<String>,
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $field: Option<$kind>,
            )*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub(super) hostnames: Option<Vec<String>>,
            /// Names of data streams beside the one that is made with the property.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub(super) streams: Option<Vec<String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub(super) aliases: Option<Vec<Alias>>,
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = "sparse::rules")]
            pub(super) rules: Option<RulesFile>,
        }

        impl Property {
            /// The plain fields and host names of a property that is there.
            pub(super) fn of(there: &wire::Property) -> Self {
                Self {
                    $($field: Some(there.$field.to_owned()),)*
                    hostnames: Some(there.hostnames.clone()),
                    ..Self::default()
                }
            }

            /// The plain fields that are to be otherwise than there.
            pub(super) fn differences(&self, there: &wire::Property) -> Vec<Field> {
                let mut fields = Vec::new();
                $(
                    if let Some(wanted) = &self.$field && *wanted != there.$field {
                        fields.push(Field::new(stringify!($field), &there.$field, wanted));
                    }
                )*
                fields
            }

            /// The plain fields that are given.
            pub(super) fn given(&self) -> Vec<Field> {
                let mut fields = Vec::new();
                $(
                    if let Some(wanted) = &self.$field {
                        fields.push(Field::new(stringify!($field), &None::<()>, wanted));
                    }
                )*
                fields
            }

            /// A message that gives a property what the file says.
            pub(super) fn update(&self, property_id: &str) -> wire::Property {
                let mut message = wire::Property { property_id: property_id.to_owned(), ..wire::Property::default() };
                $(if let Some(wanted) = &self.$field { message.$field.clone_from(wanted); })*
                message
            }

            /// A message that makes such a property.
            pub(super) fn creation(&self, organisation_id: &str) -> wire::CreatePropertyRequest {
                let mut message = wire::CreatePropertyRequest {
                    organisation_id: organisation_id.to_owned(),
                    hostnames: self.hostnames.clone().unwrap_or_default(),
                    ..wire::CreatePropertyRequest::default()
                };
                $(if let Some(wanted) = &self.$field { message.$field = ToOwned::to_owned(wanted).into(); })*
                message
            }
        }
    };
}

property! {
    name: String,
    time_zone: String,
    currency: String,
    data_region: String,
    retention_days: u32,
    daily_hits: u64,
    hits_per_second: u32,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// YAML
    Yaml,
    /// One JSON object
    Json,
}

impl Model {
    /// Reads a file; `-` is the standard input.
    ///
    /// # Errors
    /// When it cannot be read, or is no such file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin().take(FILE_MAX_BYTES + 1).read_to_string(&mut text)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text))
        };
        let bytes = u64::try_from(read.with_context(|| format!("cannot read --file = {path:?}"))?)?;
        if bytes > FILE_MAX_BYTES {
            bail!(
                "--file = {path:?} has more than {FILE_MAX_BYTES} bytes; put organisations into several files"
            );
        }
        Self::parse(&text).with_context(|| format!("--file = {path:?}"))
    }

    /// Text that begins with `{` is JSON, other text YAML.
    ///
    /// # Errors
    /// With the place of what cannot be understood.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.trim_start().starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(text);
            let model = serde_path_to_error::deserialize(&mut json).map_err(|error| refused(&error))?;
            json.end().map_err(|error| anyhow!("{error}; the file is one JSON object"))?;
            return Ok(model);
        }
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            bail!("there is nothing in it; `meridian config export` writes what such a file has");
        }
        serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(text))
            .map_err(|error| refused(&error))
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None is known; the writers may name one.
    pub(super) fn text(&self, form: Form) -> anyhow::Result<String> {
        Ok(match form {
            Form::Yaml => serde_yaml_ng::to_string(self)?,
            Form::Json => serde_json::to_string_pretty(self)? + "\n",
        })
    }
}

/// What the readers say, in one line, with the place as people write it.
fn refused<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> anyhow::Error {
    let message = error.inner().to_string().replace('\n', "; ").replace('`', "\"");
    let path = error.path().to_string();
    // The YAML reader names the place itself, less exactly.
    let message = message
        .split_once(": ")
        .filter(|(head, _)| path.starts_with(head))
        .map_or(message.as_str(), |(_, rest)| rest);
    if path == "." { anyhow!("{message}") } else { anyhow!("{path}: {message}") }
}

#[cfg(test)]
mod tests;
