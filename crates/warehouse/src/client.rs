//! The client of the warehouse: address, credentials, time-outs, and the settings that loads need.
//!
//! In: the `[warehouse]` table of a service. Out: a `clickhouse::Client` bound to one database. The client's statements
//! have no time-out of their own: callers wrap them in [`WarehouseConfig::receive_timeout`].

use std::path::PathBuf;
use std::time::Duration;

use clickhouse::Client;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

use crate::error::WarehouseError;

/// Idle connections are dropped before the server does (ClickHouse: 3 s by default), so that a statement rarely meets a
/// closed one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The `[warehouse]` table of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarehouseConfig {
    /// ClickHouse's HTTP interface, `http://HOST:PORT` (default the embedded engine's `http://127.0.0.1:8123`).
    pub url: String,
    /// Database of all tables; made if missing (default `meridian`): letters, digits and `_`.
    pub database: String,
    /// User; empty (default): the server's default user.
    pub user: String,
    /// File with the user's password, its last line break ignored; empty (default): no password.
    pub password_file: PathBuf,
    /// A connection must stand within this time, ms (default 3,000). Later: the request failed and may be repeated.
    pub connect_timeout_ms: u64,
    /// Each chunk of an insert must leave within this time, ms (default 30,000). Later: the insert failed and is repeated.
    pub send_timeout_ms: u64,
    /// An answer must come within this time, ms (default 120,000). Later: the answer counts as not clean.
    pub receive_timeout_ms: u64,
    /// Whether every insert is synced to disk before it is answered (default true). Without it a power cut may take what
    /// the loader has already booked as done; a crash of the process never does.
    pub fsync: bool,
    /// Days that minute rows stay after they were inserted (default 30). Fixed when the tables are made.
    pub minute_ttl_days: u32,
}

impl Default for WarehouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "meridian".to_owned(),
            user: String::new(),
            password_file: PathBuf::new(),
            connect_timeout_ms: 3_000,
            send_timeout_ms: 30_000,
            receive_timeout_ms: 120_000,
            fsync: true,
            minute_ttl_days: 30,
        }
    }
}

impl WarehouseConfig {
    /// Checks the values; the error is a sentence that names field, value and way out.
    ///
    /// # Errors
    /// When a value cannot work.
    pub fn validate(&self) -> Result<(), String> {
        if !self.url.starts_with("http://") {
            return Err(format!(
                "warehouse.url is {:?}: set it to the HTTP interface, such as \"http://127.0.0.1:8123\"",
                self.url
            ));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if self.database.is_empty() || !self.database.bytes().all(plain) {
            return Err(format!("warehouse.database is {:?}: use letters, digits and _", self.database));
        }
        let positive = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("send_timeout_ms", self.send_timeout_ms),
            ("receive_timeout_ms", self.receive_timeout_ms),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("warehouse.{name} is 0: set it to at least 1"));
        }
        if self.minute_ttl_days < 14 {
            // A plan group lives at most 7 days, and its minute rows must outlive any repair of it.
            return Err(format!(
                "warehouse.minute_ttl_days is {}: set it to at least 14",
                self.minute_ttl_days
            ));
        }
        Ok(())
    }

    /// How long to wait for the answer to one statement.
    pub fn receive_timeout(&self) -> Duration {
        Duration::from_millis(self.receive_timeout_ms)
    }

    /// The answer to one statement, which `what` names, within that time.
    ///
    /// # Errors
    /// What the warehouse answered, or that it did not.
    pub async fn within<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, WarehouseError> {
        match tokio::time::timeout(self.receive_timeout(), work).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(WarehouseError::Timeout { what, after_ms: self.receive_timeout_ms }),
        }
    }

    /// How long one chunk of an insert may take.
    pub fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }
}

/// A client bound to the configured database. It connects when it is first used.
///
/// # Errors
/// When the password file cannot be read.
pub fn client(config: &WarehouseConfig) -> Result<Client, WarehouseError> {
    Ok(server_client(config)?.with_database(config.database.as_str()))
}

/// A client bound to no database, to make it.
pub(crate) fn server_client(config: &WarehouseConfig) -> Result<Client, WarehouseError> {
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector.set_connect_timeout(Some(Duration::from_millis(config.connect_timeout_ms)));
    connector.set_nodelay(true);
    let http =
        HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE_TIMEOUT).build(connector);
    let mut client = Client::with_http_client(http).with_url(config.url.trim_end_matches('/'));
    if !config.user.is_empty() {
        client = client.with_user(config.user.as_str());
    }
    if !config.password_file.as_os_str().is_empty() {
        let path = config.password_file.clone();
        let password =
            std::fs::read_to_string(&path).map_err(|source| WarehouseError::PasswordFile { path, source })?;
        client = client.with_password(password.trim_end_matches(['\r', '\n']));
    }
    Ok(client)
}

/// Settings of every load. They make a repeated insert come out as the same blocks, in the table and behind its views, so
/// that the token recognises it. `max_rows`: most rows that one INSERT carries.
pub fn load_settings(max_rows: usize) -> Vec<(&'static str, String)> {
    let block = max_rows.saturating_mul(2).max(1_048_576).to_string();
    let mut settings = vec![("max_insert_block_size", block.clone()), ("max_block_size", block)];
    settings.extend(
        [
            ("insert_deduplicate", "1"),
            // A block that the minute table drops must not reach the views.
            ("deduplicate_blocks_in_dependent_materialized_views", "1"),
            ("async_insert", "0"),
            // One block per view, with the same content on a repeat.
            ("max_threads", "1"),
            ("max_insert_threads", "1"),
            ("parallel_view_processing", "0"),
            ("group_by_two_level_threshold", "0"),
            ("group_by_two_level_threshold_bytes", "0"),
            ("materialized_views_ignore_errors", "0"),
            // What a view groups has each key once: nothing is left to merge in it.
            ("optimize_on_insert", "0"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(WarehouseConfig::default().validate(), Ok(()));
        let table = [
            (WarehouseConfig { url: "127.0.0.1:8123".into(), ..Default::default() }, "warehouse.url"),
            (WarehouseConfig { database: "a.b".into(), ..Default::default() }, "warehouse.database"),
            (WarehouseConfig { send_timeout_ms: 0, ..Default::default() }, "warehouse.send_timeout_ms"),
            (WarehouseConfig { minute_ttl_days: 1, ..Default::default() }, "warehouse.minute_ttl_days"),
        ];
        for (config, field) in table {
            assert!(config.validate().unwrap_err().starts_with(field), "{field}");
        }
    }

    #[test]
    fn a_missing_password_file_is_named() {
        let config = WarehouseConfig { password_file: "/nonexistent/password".into(), ..Default::default() };
        let error = client(&config).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("password_file"), "{error}");
    }
}
