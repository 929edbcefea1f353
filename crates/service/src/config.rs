//! Configuration files: one TOML file per service, read once at start.
//!
//! In: a path. Out: the service's own configuration type, or one sentence with file, line and field. A blank file is
//! refused (a truncated file must not read as "all defaults"), and so is an unknown field: every configuration struct
//! has `#[serde(default, deny_unknown_fields)]`. Durations are integers with their unit in the name (`_ms`, `_s`).

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file sets nothing.
    #[error(
        "configuration file {} is empty; --print-default-config prints a complete one to start from",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is not TOML, or a field is unknown, missing or of the wrong type.
    #[error("configuration file {}, line {line}{}: {message}", path.display(), in_field(field))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Dotted path of the field; of an unknown or missing field, which `message` names, the table it is in.
        field: Option<String>,
        /// What is wrong there; names an unknown or missing field.
        message: String,
    },
    /// Every field has the right type, but the values do not make sense.
    #[error("configuration file {}: {message}", path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// What the service's own validation said.
        message: String,
    },
    /// The default configuration cannot be written as TOML.
    #[error("the default configuration cannot be written as TOML: {0}")]
    Print(#[from] toml::ser::Error),
}

fn in_field(field: &Option<String>) -> String {
    field.as_ref().map(|field| format!(", {field}")).unwrap_or_default()
}

/// Reads and parses `path`. Validation of values is [`crate::ServiceConfig::validate`].
pub fn load<C: DeserializeOwned>(path: &Path) -> Result<C, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Parses `text`; `path` is only for the messages.
pub fn parse<C: DeserializeOwned>(text: &str, path: &Path) -> Result<C, ConfigError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| invalid(error, text, path))?;
    if table.is_empty() {
        return Err(ConfigError::Empty { path: path.to_owned() });
    }
    toml::from_str(text).map_err(|error| invalid(error, text, path))
}

/// The default configuration as TOML.
pub fn print_default<C: Serialize + Default>() -> Result<String, ConfigError> {
    Ok(toml::to_string_pretty(&C::default())?)
}

fn invalid(mut error: toml::de::Error, text: &str, path: &Path) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = 1 + text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count();
    let message = error.message().replace('\n', ", ");
    // Without its input the error prints no excerpt but the path of the field, on a last line "in `a.b`".
    error.set_input(None);
    let printed = error.to_string();
    let field = printed
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("in `"))
        .and_then(|line| line.strip_suffix('`'))
        .map(str::to_owned);
    ConfigError::Invalid { path: path.to_owned(), line, field, message }
}

#[cfg(test)]
mod tests;
