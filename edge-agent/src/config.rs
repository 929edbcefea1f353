//! The edge's configuration: one TOML file, one table per stage.
//!
//! In: a file that `service::config` has read. Out: values that were checked; an impossible one is refused at start with
//! its name and the way out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use configuration::follow::FollowConfig;
use identity::TlsFiles;
use serde::{Deserialize, Deserializer, Serialize};
use service::ServiceConfig;
use service::logs::LogConfig;

use crate::collect::client::Proxies;
pub use crate::collect::tls::Config as CollectTlsConfig;
pub use crate::collect::{Config as CollectConfig, LocationHeaders};
use crate::disk::regions::directory;
pub use crate::outbox::Config as OutboxConfig;
pub use crate::pipeline::Config as RegionConfig;
use crate::pipeline::Settings;
pub use crate::process::Config as ProcessConfig;
pub use crate::ship::Config as ShipConfig;
pub use crate::wal::Config as WalConfig;

/// Configuration of an edge. Its id is the one in its certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the WAL, the outbox, the salts and the copy of the configuration lie. One edge per directory; made when it is not there.
    pub data_dir: PathBuf,
    /// Name of the edge's home region: `ship.hubs` are in it, and the hits of properties that name it, or none, go there. Once given it cannot be
    /// changed, for hits of that region may lie in `data_dir`. Empty: the deployment has no regions by name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// uap-core's `regexes.yaml`: what browsers, systems and devices are told by.
    pub user_agent_rules: PathBuf,
    /// `crawler-user-agents.json`: what bots are told by.
    pub crawler_list: PathBuf,
    /// Location databases in MaxMind's format, with MaxMind's records or those of the ip-location-db packages: a path or a list of paths. The
    /// first that knows an address counts. Read into memory, and again when they change. Absent: places stay unknown.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub geo_database: Vec<PathBuf>,
    /// Networks of data centres, one a line, as `scripts/hosting-ranges.py` writes them; read again when it changes. Absent: none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosting_ranges: Option<PathBuf>,
    /// Address of the admin port.
    pub admin_listen: SocketAddr,
    /// How long a stopping edge tries to hand its last batches to a hub, milliseconds. What is left then is shipped
    /// after the next start.
    pub drain_ms: u64,
    /// The HTTP port that hits come to.
    pub collect: CollectConfig,
    /// The write-ahead log.
    pub wal: WalConfig,
    /// Processing.
    pub process: ProcessConfig,
    /// Batches that are still to be sent.
    pub outbox: OutboxConfig,
    /// The way to the hubs.
    pub ship: ShipConfig,
    /// Further data regions that this edge takes hits for, by name. Absent: hits of properties that name another region than `region` are
    /// refused with 421 `wrong_region`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, RegionConfig>,
    /// Where the configuration comes from.
    pub config: FollowConfig,
    /// Certificate, key and CA.
    pub tls: TlsFiles,
    /// Logs.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/meridian/edge"),
            region: String::new(),
            user_agent_rules: PathBuf::from("/usr/share/meridian/regexes.yaml"),
            crawler_list: PathBuf::from("/usr/share/meridian/crawler-user-agents.json"),
            geo_database: Vec::new(),
            hosting_ranges: None,
            admin_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9101),
            drain_ms: 10_000,
            collect: CollectConfig::default(),
            wal: WalConfig::default(),
            process: ProcessConfig::default(),
            outbox: OutboxConfig::default(),
            ship: ShipConfig::default(),
            regions: BTreeMap::new(),
            config: FollowConfig::default(),
            tls: TlsFiles::default(),
            log: LogConfig::default(),
        }
    }
}

impl Config {
    /// What each pipeline is made with: the home region's first, which lies where an edge's data always lay.
    pub(crate) fn pipelines(&self) -> Vec<Settings> {
        let home = Settings {
            region: self.region.clone(),
            is_one_of_several: !self.regions.is_empty(),
            data_dir: self.data_dir.clone(),
            queue_submissions: self.collect.queue_submissions,
            queue_bytes: self.collect.queue_bytes,
            wal: self.wal.clone(),
            process: self.process.clone(),
            outbox: self.outbox.clone(),
            ship: self.ship.clone(),
        };
        let others = self.regions.iter().map(|(name, region)| {
            let mut settings =
                Settings { region: name.clone(), data_dir: directory(&self.data_dir, name), ..home.clone() };
            settings.ship.hubs.clone_from(&region.hubs);
            let replace = |value: &mut u64, by: Option<u64>| *value = by.unwrap_or(*value);
            replace(&mut settings.wal.max_bytes, region.max_bytes);
            replace(&mut settings.queue_bytes, region.queue_bytes);
            replace(&mut settings.process.limits.max_open_sessions, region.max_open_sessions);
            replace(&mut settings.process.limits.id_window_bytes, region.id_window_bytes);
            settings
        });
        let others: Vec<Settings> = others.collect();
        std::iter::once(home).chain(others).collect()
    }

    fn validate_regions(&self) -> Result<(), String> {
        let is_name = property::is_data_region;
        if !self.region.is_empty() && !is_name(&self.region) {
            return Err(format!("region is {:?}; choose 1 to 32 of a-z, 0-9 and hyphens", self.region));
        }
        if !self.regions.is_empty() && self.region.is_empty() {
            return Err("region is empty, but [regions] names others; name the home region as well".into());
        }
        // Each pipeline has a socket of its own.
        if !self.regions.is_empty() && self.ship.bind.port() != 0 {
            let port = self.ship.bind.port();
            return Err(format!("ship.bind has the port {port}, and each region needs one; choose port 0"));
        }
        for (name, region) in &self.regions {
            if !is_name(name) {
                return Err(format!("regions.{name:?} is no name; choose 1 to 32 of a-z, 0-9 and hyphens"));
            }
            if *name == self.region {
                return Err(format!("regions.{name} is the home region; its hubs go into ship.hubs"));
            }
            if region.hubs.is_empty() {
                return Err(format!("regions.{name}.hubs is empty; name at least one hub of that region"));
            }
            let least_bytes = self.wal.file_bytes.saturating_mul(4).max(8 << 20);
            let at_least = |field: &str, value: Option<u64>, least: u64| {
                value.map_or(Ok(()), |value| at_least(&format!("regions.{name}.{field}"), value, least))
            };
            at_least("max_bytes", region.max_bytes, least_bytes)?;
            at_least("queue_bytes", region.queue_bytes, 1 << 20)?;
            at_least("max_open_sessions", region.max_open_sessions, 1)?;
        }
        Ok(())
    }
}

impl ServiceConfig for Config {
    fn validate(&self) -> Result<(), String> {
        if self.data_dir.as_os_str().is_empty() {
            return Err("data_dir is empty; name a directory".into());
        }
        self.config.validate()?;
        self.validate_regions()?;
        at_least("process.limits.max_open_sessions", self.process.limits.max_open_sessions, 1)?;
        at_least("collect.max_connections", self.collect.max_connections, 1)?;
        at_least("collect.max_large_bodies", self.collect.max_large_bodies, 1)?;
        at_least("collect.queue_submissions", self.collect.queue_submissions, 1)?;
        at_least("collect.queue_bytes", self.collect.queue_bytes, 1 << 20)?;
        at_least("collect.request_timeout_ms", self.collect.request_timeout_ms, 1)?;
        at_least("collect.idle_timeout_ms", self.collect.idle_timeout_ms, 1)?;
        at_least("collect.max_streams", self.collect.max_streams, 1)?;
        at_least("collect.quota_properties", self.collect.quota_properties, 1)?;
        if let Some(tls) = &self.collect.tls {
            for (field, path) in [("cert", &tls.cert), ("key", &tls.key)] {
                if path.as_os_str().is_empty() {
                    return Err(format!(
                        "collect.tls.{field} is empty; name a PEM file, or leave [collect.tls] out"
                    ));
                }
            }
        }
        at_least("wal.block_hits", self.wal.block_hits, 1)?;
        at_least("wal.block_bytes", self.wal.block_bytes, 64 << 10)?;
        at_most("wal.block_bytes", self.wal.block_bytes, 16 << 20)?;
        at_least("wal.file_bytes", self.wal.file_bytes, 1 << 20)?;
        at_least("wal.max_bytes", self.wal.max_bytes, 8 << 20)?;
        if self.wal.max_bytes / 4 < self.wal.file_bytes {
            return Err(format!(
                "wal.max_bytes is {}, less than four times wal.file_bytes = {}; raise it, or lower wal.file_bytes",
                self.wal.max_bytes, self.wal.file_bytes
            ));
        }
        at_least("wal.tick_ms", self.wal.tick_ms, 100)?;
        at_least("process.flush_interval_ms", self.process.flush_interval_ms, 1)?;
        at_least("process.feed_blocks", self.process.feed_blocks, 1)?;
        at_least("process.raw_batch_bytes", self.process.raw_batch_bytes, 64 << 10)?;
        at_most("process.raw_batch_bytes", self.process.raw_batch_bytes, 32 << 20)?;
        at_least("outbox.ack_queue", self.outbox.ack_queue, 1)?;
        at_least("ship.window_bytes", self.ship.window_bytes, 1 << 20)?;
        at_least("ship.ack_timeout_ms", self.ship.ack_timeout_ms, 100)?;
        at_most("ship.ack_timeout_ms", self.ship.ack_timeout_ms, 86_400_000)?;
        at_least("ship.backoff_min_ms", self.ship.backoff_min_ms, 1)?;
        at_least("ship.backoff_max_ms", self.ship.backoff_max_ms, self.ship.backoff_min_ms)?;
        self.ship.quic.validate().map_err(|message| format!("ship.quic.{message}"))?;
        Proxies::new(&self.collect)?;
        if self.ship.hubs.is_empty() {
            return Err("ship.hubs is empty; name at least one hub, such as [\"127.0.0.1:4433\"]".into());
        }
        if !(1..=19).contains(&self.wal.zstd_level) {
            return Err(format!("wal.zstd_level is {}; choose 1 to 19", self.wal.zstd_level));
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

/// A list, or the one entry that it has.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a path or a list of paths")]
    enum Paths {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }
    Ok(match Paths::deserialize(deserializer)? {
        Paths::One(path) => vec![path],
        Paths::Many(paths) => paths,
    })
}

fn at_least<T: Copy + PartialOrd + std::fmt::Display>(field: &str, value: T, least: T) -> Result<(), String> {
    if value < least { Err(format!("{field} is {value}; choose at least {least}")) } else { Ok(()) }
}

fn at_most<T: Copy + PartialOrd + std::fmt::Display>(field: &str, value: T, most: T) -> Result<(), String> {
    if value > most { Err(format!("{field} is {value}; choose at most {most}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_survives_toml() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        let text = service::config::print_default::<Config>().unwrap();
        let read: Config = service::config::parse(&text, std::path::Path::new("x")).unwrap();
        assert_eq!(read, config);
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        let mut config = Config::default();
        config.wal.tick_ms = 0;
        assert_eq!(config.validate().unwrap_err(), "wal.tick_ms is 0; choose at least 100");
        let mut config = Config::default();
        config.wal.max_bytes = 4 * config.wal.file_bytes - 1;
        assert!(
            config.validate().unwrap_err().starts_with("wal.max_bytes is 268435455, less than four times")
        );
        let mut config = Config::default();
        config.ship.hubs.clear();
        assert!(config.validate().unwrap_err().starts_with("ship.hubs is empty"));
        let mut config = Config::default();
        config.collect.tls = Some(CollectTlsConfig { cert: "cert.pem".into(), key: PathBuf::new() });
        assert!(config.validate().unwrap_err().starts_with("collect.tls.key is empty"));
    }

    #[test]
    fn regions_that_cannot_be_served_are_refused_by_name() {
        let read = |text: &str| service::config::parse::<Config>(text, std::path::Path::new("x")).unwrap();
        let hubs = "hubs = [\"hub.eu.example:4433\"]";
        for (text, said) in [
            ("region = \"US\"".to_owned(), "region is \"US\""),
            (format!("[regions.eu]\n{hubs}"), "region is empty"),
            (format!("region = \"us\"\n[regions.EU]\n{hubs}"), "regions.\"EU\" is no name"),
            (format!("region = \"us\"\n[regions.us]\n{hubs}"), "regions.us is the home region"),
            ("region = \"us\"\n[regions.eu]".to_owned(), "regions.eu.hubs is empty"),
            (
                format!("region = \"us\"\n[regions.eu]\n{hubs}\nmax_bytes = 268435455"),
                "regions.eu.max_bytes is",
            ),
            (format!("region = \"us\"\n[ship]\nbind = \"0.0.0.0:9\"\n[regions.eu]\n{hubs}"), "ship.bind has"),
        ] {
            let error = read(&text).validate().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let good = format!("region = \"us\"\n[regions.eu]\n{hubs}\nmax_bytes = 268435456");
        assert_eq!(read(&good).validate(), Ok(()));
    }

    #[test]
    fn a_region_is_as_the_home_region_but_for_what_is_said() {
        let text =
            "region = \"us\"\n[wal]\ntick_ms = 700\n[regions.eu]\nhubs = [\"eu:1\"]\nmax_bytes = 536870912";
        let config: Config = service::config::parse(text, std::path::Path::new("x")).unwrap();
        let pipelines = config.pipelines();
        let told = |settings: &Settings| {
            let Settings { region, data_dir, wal, ship, .. } = settings.clone();
            (region, data_dir.display().to_string(), wal.tick_ms, wal.max_bytes, ship.hubs)
        };
        let home = Config::default();
        let root = home.data_dir.display();
        assert_eq!(
            pipelines.iter().map(told).collect::<Vec<_>>(),
            [
                ("us".to_owned(), root.to_string(), 700, home.wal.max_bytes, home.ship.hubs.clone()),
                ("eu".to_owned(), format!("{root}/regions/eu"), 700, 512 << 20, vec!["eu:1".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_by_name() {
        let read = |text: &str| service::config::parse::<Config>(text, std::path::Path::new("x"));
        let error = read("[collect.tls]\ncert = \"cert.pem\"").unwrap_err().to_string();
        assert!(error.contains("collect.tls") && error.contains("`key`"), "{error}");
        let config = read("[collect.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"").unwrap();
        let expected = CollectTlsConfig { cert: "cert.pem".into(), key: "key.pem".into() };
        assert_eq!(config.collect.tls, Some(expected));
    }

    #[test]
    fn a_location_database_is_one_path_or_several() {
        let read = |text: &str| service::config::parse::<Config>(text, std::path::Path::new("x"));
        for (text, expected) in [
            ("geo_database = \"/a.mmdb\"", &["/a.mmdb"][..]),
            ("geo_database = [\"/a.mmdb\", \"/b.mmdb\"]", &["/a.mmdb", "/b.mmdb"]),
            ("drain_ms = 1", &[]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(read(text).unwrap().geo_database, expected, "{text}");
        }
        let error = read("geo_database = 5").unwrap_err().to_string();
        assert!(error.contains("a path or a list of paths"), "{error}");
    }

    #[test]
    fn headers_that_nobody_may_set_are_refused() {
        let mut config = Config::default();
        config.collect.client_address_header = "CF-Connecting-IP".into();
        assert!(config.validate().unwrap_err().starts_with("collect.trusted_proxies is empty"));
        config.collect.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(config.validate(), Ok(()));
    }
}
