//! Logs: to stderr, as text for people or one JSON object per line for machines.
//!
//! The subscriber is the one global of a process; it is installed once, by [`crate::cli::main`] or `meridian dev`.
//! Stdout is left to the lines that programs read ([`crate::announce`]).

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The `[log]` table of every service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A level, or levels by module: `info`, `warn,edge_agent=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

impl LogConfig {
    /// Checks that `level` can be understood.
    pub fn validate(&self) -> Result<(), String> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, String> {
        let refused = |reason: String| {
            format!(
                "log.level is {:?}, which is not a level ({reason}); use error, warn, info, debug or trace, \
                 or levels by module such as \"info,quinn=warn\"",
                self.level
            )
        };
        // A bare word that is no level would be taken for a module, and everything else be silent.
        let word = self
            .level
            .split(',')
            .find(|part| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err());
        if let Some(word) = word {
            return Err(refused(format!("{word:?} is none")));
        }
        EnvFilter::try_new(&self.level).map_err(|error| refused(error.to_string()))
    }
}

/// Installs the process's log subscriber. An error if there is one already or the level is wrong.
pub fn init(config: &LogConfig) -> Result<(), String> {
    let filter = config.filter()?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colour).finish().try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    installed.map_err(|error| format!("cannot install the log subscriber: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked() {
        for (level, good) in
            [("info", true), ("warn,edge_agent=debug", true), ("edge_agent=loud", false), ("loud", false)]
        {
            let config = LogConfig { level: level.into(), ..LogConfig::default() };
            assert_eq!(config.validate().is_ok(), good, "{level}");
        }
    }
}
