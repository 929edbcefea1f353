//! What has to be forgotten, as the configuration tells it.
//!
//! In: the records of erasures, read whenever another version is in force. Out: each pipeline of the edge is told all of them, and marks those
//! in its WAL that it has not marked before; what somebody looks at of the property goes. Whoever was cut off is told when the configuration is.
//! Invariant: nothing here remembers what is done; the WAL and the state of processing do.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use configuration::Replica;
use configuration::replica::Records as _;
use configuration::stored::StoredError;
use configuration::stored::erasures::{ERASURE, read_erasure};
use hit::Forget;
use tokio_util::sync::CancellationToken;

use crate::handoff::forgets::Forgets;
use crate::tail::Tail;

/// Tells the pipelines what is to be forgotten, until shutdown.
pub(crate) async fn watch(
    replica: Arc<Replica>,
    pipelines: Vec<Arc<Forgets>>,
    tail: Arc<Tail>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut versions = replica.watch();
    let mut known = BTreeSet::new();
    loop {
        versions.borrow_and_update();
        let held = replica.clone();
        let wanted = tokio::task::spawn_blocking(move || read(&held)).await?.context("reading erasures")?;
        let new: Vec<&Forget> = wanted.iter().filter(|forget| !known.contains(&forget.job)).collect();
        if let Some(last) = new.last() {
            tracing::info!(new = new.len(), last = last.job, "the configuration has further erasures");
        }
        new.iter().for_each(|forget| tail.forget(&forget.property_id));
        known = wanted.iter().map(|forget| forget.job.clone()).collect();
        pipelines.iter().for_each(|pipeline| pipeline.want(wanted.clone()));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            // Whoever tells it is held here.
            _other = versions.changed() => {}
        }
    }
}

/// Every erasure of the version in force. Blocks on the disk.
fn read(replica: &Replica) -> anyhow::Result<Vec<Forget>> {
    let (mut wanted, mut wrong) = (Vec::new(), None::<StoredError>);
    replica.read()?.for_each(ERASURE, &mut |key, value| match read_erasure(key, value) {
        Ok(erasure) => wanted.push(Forget {
            job: erasure.job,
            property_id: erasure.property_id,
            visitor_ids: erasure.visitor_ids,
        }),
        Err(error) => wrong = Some(error),
    })?;
    match wrong {
        Some(error) => Err(error.into()),
        None => Ok(wanted),
    }
}

#[cfg(test)]
mod tests;
