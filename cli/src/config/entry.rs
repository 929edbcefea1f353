//! What `meridian config apply` would change or has left alone, for people and for programs.
//!
//! In: differences. Out: lines of text, grouped under what they are about, or one JSON object each. No secret is ever in one.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

/// A field that is to be otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Field {
    pub(super) field: String,
    /// `null`: there is none.
    pub(super) before: Value,
    pub(super) after: Value,
}

impl Field {
    pub(super) fn new(field: &str, before: &impl Serialize, after: &impl Serialize) -> Self {
        // Plain values and lists of them always have a JSON form.
        let value = |value: Result<Value, serde_json::Error>| value.unwrap_or(Value::Null);
        Self {
            field: field.to_owned(),
            before: value(serde_json::to_value(before)),
            after: value(serde_json::to_value(after)),
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Create,
    Update,
    Remove,
    /// Nothing: a list of the file does not have it.
    Leave,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Organisation,
    Property,
    Rules,
    Stream,
    Alias,
    Member,
    Key,
    Hostname,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Property => "property",
            Self::Rules => "rules of property",
            Self::Stream => "data stream",
            Self::Alias => "alias",
            Self::Member => "member",
            Self::Key => "key",
            Self::Hostname => "host name",
        }
    }
}

/// One thing that changes, or does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) action: Action,
    pub(super) kind: Kind,
    /// Where in the file: `organisations[0].properties[2]`; of what is not in it, the list that it is not in.
    pub(super) place: String,
    /// Of which organisation, or which property, in words; empty: the operator's.
    pub(super) of: String,
    /// What it is called.
    pub(super) name: String,
    /// Empty: it has none, or none yet.
    pub(super) id: String,
    pub(super) fields: Vec<Field>,
}

impl Entry {
    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let (sign, end) = match self.action {
            Action::Create => ('+', ""),
            Action::Update => ('~', ""),
            Action::Remove => ('-', ""),
            Action::Leave => ('!', ": not in the file"),
        };
        let mut text = format!("{sign} {} {:?}", self.kind.as_str(), self.name);
        if !self.id.is_empty() {
            let _fits = write!(text, " ({})", self.id);
        }
        if !self.of.is_empty() {
            let _fits = write!(text, " of {}", self.of);
        }
        text.push_str(end);
        text.push('\n');
        for Field { field, before, after } in &self.fields {
            let _fits = match before {
                Value::Null => writeln!(text, "    {field}: {after}"),
                before => writeln!(text, "    {field}: {before} → {after}"),
            };
        }
        text
    }

    /// One line for programs.
    pub(super) fn json(&self) -> Value {
        let event = if self.action == Action::Leave { "not_in_file" } else { "change" };
        json!({
            "event": event, "action": self.action, "kind": self.kind, "place": self.place, "of": self.of, "name": self.name,
            "id": self.id, "fields": self.fields,
        })
    }
}
