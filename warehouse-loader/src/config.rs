//! The loader's configuration: one TOML file, one table per stage.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use service::ServiceConfig;
use service::logs::LogConfig;
use store::StoreConfig;
use warehouse::WarehouseConfig;

use crate::consume::ConsumeConfig;
use crate::consume::feed::FeedConfig;
use crate::erase::EraseConfig;
use crate::insert::InsertConfig;
use crate::plan::Limits;
use crate::retire::RetireConfig;

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this loader, 1 to 63 of `a-z 0-9 -` (default `loader-1`). A plan under this name that is not done is run at
    /// once after a start, so two loaders have two names.
    pub id: String,
    /// Where metrics, health and status are served (default `127.0.0.1:9103`); port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// On shutdown, how long a running INSERT may take, ms (default 20,000). Then it is broken off; the next start verifies.
    pub shutdown_grace_ms: u64,
    /// Segments, plans and checkpoints.
    pub store: StoreConfig,
    /// ClickHouse.
    pub warehouse: WarehouseConfig,
    /// Listing and reading segments.
    pub consume: ConsumeConfig,
    /// Announcements of the hubs.
    pub feed: FeedConfig,
    /// Making plans.
    pub plan: PlanConfig,
    /// Sending rows.
    pub insert: InsertConfig,
    /// Carrying out erasures.
    pub erase: EraseConfig,
    /// Checkpoints and deletion.
    pub retire: RetireConfig,
    /// Logs.
    pub log: LogConfig,
}

/// The `[plan]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanConfig {
    /// How much one plan takes.
    pub limits: Limits,
    /// Another loader's plan without `done` is run by this one after so long, ms (default 10,000).
    pub takeover_ms: u64,
    /// Shortest time between two plans of this loader, ms (default 500): few large INSERTs cost less than many small ones.
    pub interval_ms: u64,
    /// Shortest time between two plans that insert nothing, ms (default 3,000): they only move `data_until`.
    pub empty_interval_ms: u64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), takeover_ms: 10_000, interval_ms: 500, empty_interval_ms: 3_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: "loader-1".to_owned(),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9103)),
            shutdown_grace_ms: 20_000,
            store: StoreConfig::default(),
            warehouse: WarehouseConfig::default(),
            consume: ConsumeConfig::default(),
            feed: FeedConfig::default(),
            plan: PlanConfig::default(),
            insert: InsertConfig::default(),
            erase: EraseConfig::default(),
            retire: RetireConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// Rows of one INSERT above which a repeat might come out as other blocks.
const MAX_INSERT_ROWS: usize = 100_000;

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        if self.id.parse::<hit::EdgeId>().is_err() {
            return Err(format!("id is {:?}: use 1 to 63 of the characters a-z, 0-9 and -", self.id));
        }
        self.store.validate()?;
        self.warehouse.validate()?;
        self.feed.validate()?;
        let limits = &self.plan.limits;
        let positive = [
            ("consume.list_interval_ms", self.consume.list_interval_ms),
            ("consume.store_timeout_ms", self.consume.store_timeout_ms),
            ("consume.window_batches", self.consume.window_batches),
            ("consume.segments_per_round", as_u64(self.consume.segments_per_round)),
            ("plan.limits.max_rows", as_u64(limits.max_rows)),
            ("plan.limits.max_batches", as_u64(limits.max_batches)),
            ("plan.limits.max_insert_rows", as_u64(limits.max_insert_rows)),
            ("insert.not_after_s", self.insert.not_after_s),
            ("insert.retry_min_ms", self.insert.retry_min_ms),
            ("erase.list_interval_ms", self.erase.list_interval_ms),
            ("retire.checkpoint_plans", self.retire.checkpoint_plans),
            ("retire.keep_checkpoints", as_u64(self.retire.keep_checkpoints)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0: set it to at least 1"));
        }
        if limits.max_insert_rows > MAX_INSERT_ROWS {
            return Err(format!(
                "plan.limits.max_insert_rows is {}: set it to at most {MAX_INSERT_ROWS}, so that a repeated INSERT comes \
                 out as the same block",
                limits.max_insert_rows
            ));
        }
        Ok(())
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn as_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_survives_toml() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let text = toml::to_string_pretty(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn wrong_values_are_named() {
        assert!(toml::from_str::<Config>("takeover = 1").is_err());
        let mut config = Config::default();
        config.plan.limits.max_insert_rows = 200_000;
        assert!(config.validate().unwrap_err().starts_with("plan.limits.max_insert_rows is 200000"));
        let config = Config { id: "Loader 1".into(), ..Config::default() };
        assert!(config.validate().unwrap_err().starts_with("id is"));
    }
}
