//! Where clients are and in what kind of network, from the files that the configuration names, followed as they change.
//!
//! In: an address, and whose hit it is. Out: a place and a network. A request holds [`Maps`], so that all its hits are judged by the same files.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use property::Property;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::follow::{FileError, Followed};
use super::locate::{self, Database, Located};
use super::network::{InternalNetworks, Network, Ranges};
use crate::metrics::OriginMetrics;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Everything that tells where a client is.
#[derive(Debug)]
pub(crate) struct Origins {
    databases: Followed<Database>,
    hosting: Followed<Ranges>,
    internal: InternalNetworks,
    metrics: OriginMetrics,
}

/// The files as they are while a request lasts.
#[derive(Debug)]
pub(crate) struct Maps {
    databases: Arc<[Arc<Database>]>,
    hosting: Arc<[Arc<Ranges>]>,
}

impl Origins {
    /// Reads the location databases and the networks of data centres. Blocks on the disk.
    pub(crate) fn open(
        databases: &[PathBuf],
        hosting: Option<&PathBuf>,
        metrics: OriginMetrics,
    ) -> Result<Self, FileError> {
        let origins = Self {
            databases: Followed::open(databases)?,
            hosting: Followed::open(hosting.map(std::slice::from_ref).unwrap_or_default())?,
            internal: InternalNetworks::default(),
            metrics,
        };
        origins.measure();
        Ok(origins)
    }

    /// The files as they are now.
    pub(crate) fn maps(&self) -> Maps {
        Maps { databases: self.databases.held(), hosting: self.hosting.held() }
    }

    /// The network of an address. What a property calls its own goes before what a file says.
    pub(crate) fn network(&self, property: &Property, address: IpAddr, maps: &Maps) -> Network {
        if self.internal.contain(&property.property_id, property.current_rules(), address) {
            Network::Internal
        } else if maps.hosting.iter().any(|ranges| ranges.contains(address)) {
            Network::Hosting
        } else {
            Network::Unknown
        }
    }

    /// What `/status` says of the location databases.
    pub(crate) fn databases(&self) -> Value {
        let built_at = |database: &Database| {
            let seconds = i64::try_from(database.built_at_s()).ok()?;
            Some(Timestamp::from_second(seconds).ok()?.to_string())
        };
        let told = |database: &Arc<Database>| json!({ "database_type": database.database_type(), "built_at": built_at(database) });
        self.databases.held().iter().map(told).collect()
    }

    fn refresh(&self) {
        let is_new = self.databases.refresh(&self.metrics.failures("geo_database"));
        if self.hosting.refresh(&self.metrics.failures("hosting_ranges")) || is_new {
            self.measure();
        }
    }

    fn measure(&self) {
        let Maps { databases, hosting } = self.maps();
        self.metrics.databases(databases.iter().map(|one| (one.database_type(), one.built_at_s())));
        self.metrics.hosting_ranges(hosting.iter().map(|ranges| ranges.len()).sum());
    }
}

impl Maps {
    /// Where an address is.
    pub(crate) fn locate(&self, address: IpAddr) -> Located<'_> {
        locate::locate(&self.databases, address)
    }
}

/// Reads changed files again until `shutdown`.
pub(crate) async fn watch(origins: Arc<Origins>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => {}
        }
        let origins = origins.clone();
        tokio::task::spawn_blocking(move || origins.refresh()).await?;
    }
}
