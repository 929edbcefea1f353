//! Configure: passes the configuration on, from the apis to the edges.
//!
//! In: what the apis tell. Out: the same to every edge that follows, from a local copy, so that edges are served while no api answers.

use std::sync::Arc;

use anyhow::Context as _;
use configuration::Replica;
use configuration::follow::{FollowMetrics, Follower, Speaker};
use configuration::replica::NoView;
use configuration::serve::{Feed, Followers};
use identity::Role;
use service::Context;
use tokio::sync::Semaphore;

use crate::config::Config;

/// Opens the local copy; gives what follows the apis and what serves the edges.
pub(crate) async fn open(config: &Config, context: &Context) -> anyhow::Result<(Follower, Feed)> {
    let (path, cache_bytes) = (config.data_dir.join("config.redb"), config.config.cache_bytes);
    let replica = tokio::task::spawn_blocking(move || Replica::open(&path, cache_bytes, Arc::new(NoView)))
        .await?
        .context("data_dir")?;
    let followers = Arc::new(Followers::default());
    let follower = Follower {
        config: config.config.clone(),
        tls: config.tls.clone(),
        role: Role::Api,
        replica: Arc::clone(&replica),
        speaker: Speaker::Hub(Arc::clone(&followers)),
        metrics: context.registry.register(|registry| FollowMetrics::new(registry, "hub", &replica)),
    };
    let feed = Feed {
        replica,
        followers,
        role: Role::Edge,
        places: Arc::new(Semaphore::new(config.mesh.max_followers)),
        shutdown: context.shutdown.clone(),
    };
    Ok((follower, feed))
}
