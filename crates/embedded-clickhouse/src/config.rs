//! The configuration of the process: one TOML table, every field with a default.
//!
//! Out: a [`Config`] whose values are checked. Every limit says what happens at it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service::ServiceConfig;
use service::logs::LogConfig;

const MIB: u64 = 1024 * 1024;

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where ClickHouse's HTTP interface listens; port 0 picks a free one. There is no authentication: keep it on loopback.
    pub listen: SocketAddr,
    /// Where metrics, health and readiness are served; port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// Directory of the tables; made if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Path of `libchdb.so`, relative to the working directory.
    pub library: PathBuf,
    /// Statements that run at the same time, each on a thread of its own (default 8). More wait in the queue.
    pub max_connections: u32,
    /// Statements that wait for a thread, or whose body is still arriving (default 64). At the limit: 503 with `Retry-After`.
    pub max_queue: u32,
    /// Longest request body, before and after decompression, bytes (default 256 MiB). Longer: 413, nothing is run.
    pub max_body_bytes: u64,
    /// Most memory of request bodies and results that wait to be run or sent, all together, bytes (default 1 GiB); bodies being
    /// decompressed come on top, at most `max_connections` × `max_body_bytes`. At the limit: 503 with `Retry-After`.
    pub max_buffered_bytes: u64,
    /// A body must arrive whole within this time, ms (default 120,000). Later: 408, nothing is run.
    pub body_timeout_ms: u64,
    /// Longest result, bytes (default 256 MiB). Longer: error 396 (`TOO_MANY_ROWS_OR_BYTES`) in place of the result.
    pub max_result_bytes: u64,
    /// Most memory of one statement, bytes (default 2 GiB). More: error 241 (`MEMORY_LIMIT_EXCEEDED`).
    pub max_query_memory_bytes: u64,
    /// Most memory of the engine, all statements, merges and caches, bytes (default 4 GiB). More: error 241.
    pub max_server_memory_bytes: u64,
    /// Most memory of the cache of index marks, bytes (default 256 MiB). At the limit the oldest go.
    pub mark_cache_bytes: u64,
    /// On start, how long to wait for another process that still holds `data_dir`, ms (default 10,000). Then: exit 1.
    pub lock_timeout_ms: u64,
    /// On shutdown, how long running statements may take, ms (default 30,000). Then: exit 1, as safe as a kill.
    pub shutdown_grace_ms: u64,
    /// Logs.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            listen: loopback(8123),
            admin_listen: loopback(8124),
            data_dir: "/var/lib/meridian/warehouse".into(),
            library: "third-party/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so".into(),
            max_connections: 8,
            max_queue: 64,
            max_body_bytes: 256 * MIB,
            max_buffered_bytes: 1024 * MIB,
            body_timeout_ms: 120_000,
            max_result_bytes: 256 * MIB,
            max_query_memory_bytes: 2048 * MIB,
            max_server_memory_bytes: 4096 * MIB,
            mark_cache_bytes: 256 * MIB,
            lock_timeout_ms: 10_000,
            shutdown_grace_ms: 30_000,
            log: LogConfig::default(),
        }
    }
}

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        let positive = [
            ("max_connections", u64::from(self.max_connections)),
            ("max_queue", u64::from(self.max_queue)),
            ("max_body_bytes", self.max_body_bytes),
            ("body_timeout_ms", self.body_timeout_ms),
            ("max_result_bytes", self.max_result_bytes),
            ("max_query_memory_bytes", self.max_query_memory_bytes),
            ("mark_cache_bytes", self.mark_cache_bytes),
            ("shutdown_grace_ms", self.shutdown_grace_ms),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0: set it to at least 1"));
        }
        if self.max_server_memory_bytes < self.max_query_memory_bytes {
            return Err(format!(
                "max_server_memory_bytes is {}, less than max_query_memory_bytes ({}): raise the one or lower the other",
                self.max_server_memory_bytes, self.max_query_memory_bytes
            ));
        }
        if self.max_buffered_bytes < self.max_body_bytes.max(self.max_result_bytes) {
            return Err(format!(
                "max_buffered_bytes is {}, less than max_body_bytes ({}) or max_result_bytes ({}): raise it or lower them",
                self.max_buffered_bytes, self.max_body_bytes, self.max_result_bytes
            ));
        }
        if self.data_dir.as_os_str().is_empty() {
            return Err("data_dir is empty: set it to the directory of the tables".to_owned());
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
        assert!(toml::from_str::<Config>("max_conections = 1").is_err());
        let config = Config { max_queue: 0, ..Config::default() };
        assert_eq!(config.validate(), Err("max_queue is 0: set it to at least 1".to_owned()));
        let config = Config { max_server_memory_bytes: 1, ..Config::default() };
        assert!(config.validate().unwrap_err().starts_with("max_server_memory_bytes is 1"));
    }
}
