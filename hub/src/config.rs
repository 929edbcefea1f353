//! The hub's configuration: one table per stage.

use std::net::SocketAddr;
use std::path::PathBuf;

use configuration::follow::FollowConfig;
use identity::TlsFiles;
use serde::{Deserialize, Serialize};
use service::ServiceConfig;
use service::logs::LogConfig;
use store::StoreConfig;

/// Everything a hub can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// TCP address of the admin port; port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// How long a stop may take, milliseconds: what was received is stored and acknowledged within it, the rest is
    /// sent again by its edge. More than `segment.delay_ms`.
    pub shutdown_grace_ms: u64,
    /// Logs.
    pub log: LogConfig,
    /// Certificates; the certificate's name is the hub's id.
    pub tls: TlsFiles,
    /// The object store.
    pub store: StoreConfig,
    /// The QUIC port.
    pub receive: transport::ServerConfig,
    /// Segments.
    pub segment: SegmentConfig,
    /// Where the local copy of the configuration lies; one hub per directory. It may be lost: it is taken anew from the apis.
    pub data_dir: PathBuf,
    /// The gRPC port: loaders watch segments there, edges follow the configuration.
    pub mesh: MeshConfig,
    /// What loaders are told.
    pub feed: FeedConfig,
    /// Where the configuration comes from.
    pub config: FollowConfig,
    /// What `/status` says about the store.
    pub sizes: SizesConfig,
}

/// How batches become segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentConfig {
    /// How long the first batch of a segment waits for others, milliseconds.
    pub delay_ms: u64,
    /// Bytes of payload after which a segment is written at once; it may be longer by its last batch.
    pub bytes: u64,
    /// Batches of a lane between its streams and the segment that is being filled; at the limit its streams are not
    /// read.
    pub queue_batches: usize,
    /// PUTs of a lane at once; at the limit the next segment fills up, then the lane waits.
    pub puts_at_once: usize,
    /// How long one PUT may take, milliseconds; then it has failed.
    pub put_timeout_ms: u64,
    /// Pause after the first failed PUT of a segment, milliseconds; it doubles with each further one.
    pub retry_first_ms: u64,
    /// The longest pause between two PUTs of a segment, milliseconds.
    pub retry_max_ms: u64,
}

/// The gRPC port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshConfig {
    /// TCP address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Edges that follow the configuration at once; a further one is told RESOURCE_EXHAUSTED.
    pub max_followers: usize,
    /// Calls being answered at once, over all connections; a further one is told RESOURCE_EXHAUSTED.
    pub max_calls: usize,
    /// Calls on one connection at once; a further one waits.
    pub max_streams: u32,
    /// How often a silent connection is asked whether it lives, milliseconds.
    pub keep_alive_ms: u64,
    /// How long it may take to answer, milliseconds; then it is closed.
    pub keep_alive_timeout_ms: u64,
    /// Age at which a connection is asked to go, milliseconds, so that callers spread over new hubs.
    pub max_connection_age_ms: u64,
    /// How long its calls may go on after that, milliseconds; they are then cut and called again.
    pub max_connection_age_grace_ms: u64,
}

/// The feed of segments. It only hints: loaders list the store too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// Whether there is a feed at all.
    pub enabled: bool,
    /// Announcements kept for a slow caller; it loses the oldest beyond them, and lists the store as ever.
    pub announcements: usize,
    /// Callers that watch at once; a further one is told RESOURCE_EXHAUSTED.
    pub max_watchers: usize,
}

/// The listing behind the sizes in `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SizesConfig {
    /// Pause between two listings, milliseconds.
    pub refresh_ms: u64,
    /// Objects looked at per lane and listing; beyond it the sizes are those of the first ones.
    pub objects: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9102)),
            shutdown_grace_ms: 20_000,
            log: LogConfig::default(),
            tls: TlsFiles::default(),
            store: StoreConfig::default(),
            receive: transport::ServerConfig::default(),
            segment: SegmentConfig::default(),
            data_dir: "/var/lib/meridian/hub".into(),
            mesh: MeshConfig::default(),
            feed: FeedConfig::default(),
            config: FollowConfig::default(),
            sizes: SizesConfig::default(),
        }
    }
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            delay_ms: 500,
            bytes: 8 * 1024 * 1024,
            queue_batches: 256,
            puts_at_once: 2,
            put_timeout_ms: 60_000,
            retry_first_ms: 100,
            retry_max_ms: 5_000,
        }
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4434)),
            max_followers: 1024,
            max_calls: 64,
            max_streams: 16,
            keep_alive_ms: 10_000,
            keep_alive_timeout_ms: 5_000,
            max_connection_age_ms: 600_000,
            max_connection_age_grace_ms: 5_000,
        }
    }
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { enabled: true, announcements: 1024, max_watchers: 64 }
    }
}

impl Default for SizesConfig {
    fn default() -> Self {
        Self { refresh_ms: 30_000, objects: 100_000 }
    }
}

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        self.store.validate()?;
        self.receive.validate().map_err(|message| format!("receive.{message}"))?;
        self.config.validate()?;
        if self.data_dir.as_os_str().is_empty() {
            return Err("data_dir is empty; use a path".into());
        }
        let positive = [
            ("segment.bytes", self.segment.bytes),
            ("segment.queue_batches", self.segment.queue_batches as u64),
            ("segment.puts_at_once", self.segment.puts_at_once as u64),
            ("segment.put_timeout_ms", self.segment.put_timeout_ms),
            ("segment.retry_first_ms", self.segment.retry_first_ms),
            ("feed.announcements", self.feed.announcements as u64),
            ("feed.max_watchers", self.feed.max_watchers as u64),
            ("mesh.max_followers", self.mesh.max_followers as u64),
            ("mesh.max_calls", self.mesh.max_calls as u64),
            ("mesh.max_streams", self.mesh.max_streams.into()),
            ("mesh.keep_alive_ms", self.mesh.keep_alive_ms),
            ("mesh.keep_alive_timeout_ms", self.mesh.keep_alive_timeout_ms),
            ("mesh.max_connection_age_ms", self.mesh.max_connection_age_ms),
            ("sizes.refresh_ms", self.sizes.refresh_ms),
        ];
        if let Some((field, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{field} is 0; use at least 1, or leave it out for the default"));
        }
        if self.segment.retry_max_ms < self.segment.retry_first_ms {
            return Err(format!(
                "segment.retry_max_ms is {}, less than segment.retry_first_ms = {}; use 5000",
                self.segment.retry_max_ms, self.segment.retry_first_ms
            ));
        }
        if self.segment.bytes > u64::from(u32::MAX) {
            return Err(format!(
                "segment.bytes is {}, more than a segment of 4 GiB; use 8388608",
                self.segment.bytes
            ));
        }
        if self.shutdown_grace_ms <= self.segment.delay_ms {
            return Err(format!(
                "shutdown_grace_ms is {}, not more than segment.delay_ms = {}, so a stop could not store what was \
                 received; use 20000",
                self.shutdown_grace_ms, self.segment.delay_ms
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_named_with_the_way_out() {
        let good = Config::default;
        assert_eq!(good().validate(), Ok(()));
        let mut cases = Vec::new();
        cases.push((Config { shutdown_grace_ms: 500, ..good() }, "shutdown_grace_ms is 500"));
        cases.push((Config { store: StoreConfig { url: "s3://x".into() }, ..good() }, "store.url"));
        let segment = SegmentConfig { retry_max_ms: 1, ..SegmentConfig::default() };
        cases.push((Config { segment, ..good() }, "segment.retry_max_ms is 1"));
        let feed = FeedConfig { max_watchers: 0, ..FeedConfig::default() };
        cases.push((Config { feed, ..good() }, "feed.max_watchers is 0"));
        let receive = transport::ServerConfig { lane_batches: 0, ..transport::ServerConfig::default() };
        cases.push((Config { receive, ..good() }, "receive.lane_batches is 0"));
        for (config, expected) in cases {
            let message = config.validate().unwrap_err();
            assert!(message.contains(expected) && message.contains("use"), "{message}");
        }
    }
}
