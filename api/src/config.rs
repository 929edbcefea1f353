//! The configuration of the api: one TOML file, every field with a default.
//!
//! Out: a [`Config`] whose values are checked. Secrets are paths to files.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service::ServiceConfig;
use service::logs::LogConfig;
use warehouse::WarehouseConfig;

use crate::history::HistoryConfig;
use crate::mesh::MeshConfig;
use crate::quotas::QuotasConfig;
use crate::retention::RetentionConfig;

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC listens (default `127.0.0.1:9090`); port 0 picks a free one.
    pub grpc_listen: SocketAddr,
    /// Where HTTP/JSON listens (default `127.0.0.1:8081`); port 0 picks a free one. Plaintext: put a TLS proxy before it.
    pub http_listen: SocketAddr,
    /// Where metrics, health, readiness and status are served; port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// What is configured: the log in the object store and the local copy.
    pub config: HistoryConfig,
    /// Where hubs follow the configuration; absent (default): no hub does, and no edge learns of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshConfig>,
    /// File with the key that may do everything; made with a random key, for its owner only, if missing.
    pub admin_key_file: PathBuf,
    /// Development only: where the plain keys of created properties are kept as `{property_id}.json`, for their owner
    /// only. Absent (default): they are in the answer and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_dir: Option<PathBuf>,
    /// How long new properties keep what was counted.
    pub retention: RetentionConfig,
    /// On shutdown, how long running requests may take, ms (default 10,000). Then they are cut.
    pub shutdown_grace_ms: u64,
    /// What is allowed at once and how long.
    pub limits: LimitsConfig,
    /// How many hits are taken of properties.
    pub quotas: QuotasConfig,
    /// gRPC connections.
    pub grpc: GrpcConfig,
    /// Certificate of the gRPC port; absent (default): plaintext, for loopback or behind a proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Where the tables are.
    pub warehouse: WarehouseConfig,
    /// Logs.
    pub log: LogConfig,
}

/// What is allowed at once and how long, over gRPC and HTTP together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests in work (default 64). More are refused at once with RESOURCE_EXHAUSTED, or 503 and `Retry-After`.
    pub max_requests: usize,
    /// Longest time for one request, ms (default 30,000); a caller's shorter deadline holds. Later: DEADLINE_EXCEEDED, 504.
    pub timeout_ms: u64,
    /// Largest request, bytes (default 64 KiB). Larger: 413, or gRPC's OUT_OF_RANGE.
    pub max_request_bytes: usize,
    /// Largest gRPC answer, bytes (default 64 MiB). Larger: gRPC's OUT_OF_RANGE; ask for fewer rows.
    pub max_response_bytes: usize,
    /// Most memory of one statement in the warehouse, bytes (default 1 GiB). More: RESOURCE_EXHAUSTED, or 503.
    pub max_query_memory_bytes: u64,
    /// Connections to the HTTP port (default 1,024). More wait in the kernel's queue.
    pub max_http_connections: usize,
    /// Calls with one key in a second, five seconds' worth of them at once (default 100); 0: no limit. More: RESOURCE_EXHAUSTED, or 429 and
    /// `Retry-After`. Each api counts for itself; the admin key has no limit.
    pub calls_per_second: u32,
    /// Reports of one property in a second (default 50), whoever asks; likewise.
    pub reports_per_second: u32,
}

/// gRPC connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Calls at once on one connection (default 128). More wait at the client.
    pub max_concurrent_streams: u32,
    /// A silent connection is pinged after this time, s (default 30).
    pub keep_alive_interval_s: u64,
    /// A connection whose ping is not answered within this time is closed, s (default 10).
    pub keep_alive_timeout_s: u64,
    /// A connection is asked to go after this time, s (default 600), so that clients spread over new servers.
    pub max_connection_age_s: u64,
}

/// Server certificate of the gRPC port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            grpc_listen: loopback(9090),
            http_listen: loopback(8081),
            admin_listen: loopback(9104),
            config: HistoryConfig::default(),
            mesh: None,
            admin_key_file: "/var/lib/meridian/admin.key".into(),
            keys_dir: None,
            retention: RetentionConfig::default(),
            shutdown_grace_ms: 10_000,
            limits: LimitsConfig::default(),
            quotas: QuotasConfig::default(),
            grpc: GrpcConfig::default(),
            tls: None,
            warehouse: WarehouseConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_requests: 64,
            timeout_ms: 30_000,
            max_request_bytes: 64 * 1024,
            max_response_bytes: 64 * 1024 * 1024,
            max_query_memory_bytes: 1024 * 1024 * 1024,
            max_http_connections: 1024,
            calls_per_second: 100,
            reports_per_second: 50,
        }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 128,
            keep_alive_interval_s: 30,
            keep_alive_timeout_s: 10,
            max_connection_age_s: 600,
        }
    }
}

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        let limits = &self.limits;
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let positive = [
            ("shutdown_grace_ms", self.shutdown_grace_ms),
            ("limits.max_requests", count(limits.max_requests)),
            ("limits.timeout_ms", limits.timeout_ms),
            ("limits.max_request_bytes", count(limits.max_request_bytes)),
            ("limits.max_response_bytes", count(limits.max_response_bytes)),
            ("limits.max_query_memory_bytes", limits.max_query_memory_bytes),
            ("limits.max_http_connections", count(limits.max_http_connections)),
            ("quotas.check_interval_ms", self.quotas.check_interval_ms),
            ("grpc.max_concurrent_streams", u64::from(self.grpc.max_concurrent_streams)),
            ("grpc.keep_alive_interval_s", self.grpc.keep_alive_interval_s),
            ("grpc.keep_alive_timeout_s", self.grpc.keep_alive_timeout_s),
            ("grpc.max_connection_age_s", self.grpc.max_connection_age_s),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0: set it to at least 1"));
        }
        // A semaphore's own limit is far above this.
        for (name, value) in [
            ("limits.max_requests", limits.max_requests),
            ("limits.max_http_connections", limits.max_http_connections),
        ] {
            if value > 1_000_000 {
                return Err(format!("{name} is {value}: set it to at most 1000000"));
            }
        }
        if self.admin_key_file.as_os_str().is_empty() {
            return Err("admin_key_file is empty: set it to a path".into());
        }
        self.config.validate()?;
        self.retention.validate()?;
        self.warehouse.validate()
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
        assert!(toml::from_str::<Config>("grpc_lisen = \"127.0.0.1:1\"").is_err());
        let mut config = Config::default();
        config.limits.max_requests = 0;
        assert!(config.validate().unwrap_err().starts_with("limits.max_requests is 0"));
        let config = Config { retention: RetentionConfig { days: 3_651 }, ..Config::default() };
        assert!(config.validate().unwrap_err().starts_with("retention.days is 3651"));
        let config = Config { admin_key_file: PathBuf::new(), ..Config::default() };
        assert!(config.validate().unwrap_err().starts_with("admin_key_file is empty"));
    }
}
