//! Configure: passes the configuration on, from the apis to the edges.
//!
//! In: what the apis tell. Out: the same to every edge that follows, from a local copy, so that edges are served while no api answers.
//! Salts are passed on from memory alone: no hub writes one down.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use configuration::follow::{FollowMetrics, Follower, Speaker};
use configuration::replica::NoView;
use configuration::serve::{Feed, Followers};
use configuration::{Replica, Salts};
use identity::Role;
use service::{Context, SharedClock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often it is looked which salts have expired.
const LOOK: Duration = Duration::from_secs(60);

/// Opens the local copy; gives what follows the apis and what serves the edges.
pub(crate) async fn open(config: &Config, context: &Context) -> anyhow::Result<(Follower, Feed)> {
    let (path, cache_bytes) = (config.data_dir.join("config.redb"), config.config.cache_bytes);
    let replica = tokio::task::spawn_blocking(move || Replica::open(&path, cache_bytes, Arc::new(NoView)))
        .await?
        .context("data_dir")?;
    let followers = Arc::new(Followers::default());
    let salts = Salts::default();
    let follower = Follower {
        config: config.config.clone(),
        tls: config.tls.clone(),
        role: Role::Api,
        replica: Arc::clone(&replica),
        salts: salts.clone(),
        clock: context.clock.clone(),
        speaker: Speaker::Hub(Arc::clone(&followers)),
        metrics: context.registry.register(|registry| FollowMetrics::new(registry, "hub", &replica)),
    };
    let feed = Feed {
        replica,
        salts,
        followers,
        role: Role::Edge,
        places: Arc::new(Semaphore::new(config.mesh.max_followers)),
        shutdown: context.shutdown.clone(),
    };
    Ok((follower, feed))
}

/// Lets go of salts that expire, whether or not an api answers.
pub(crate) async fn let_salts_expire(
    salts: Salts,
    clock: SharedClock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => salts.let_go(clock.now_ms()),
        }
    }
}
