//! Carries out what `meridian config apply` found to be done.
//!
//! In: changes. Out: the same done by the api, phase by phase, within a phase several at once; secrets where they go. After the first
//! refusal nothing new is begun, what is under way is waited for, and its secrets are kept. A run after that goes on where this one ended,
//! since it compares anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use self::step::{Done, Ids};
use super::plan::{Change, Phase};
use super::resolve::Resolved;
use super::secrets::Secrets;
use super::there::{Api, CALLS_AT_ONCE};

mod step;

/// Carries out changes.
///
/// # Errors
/// With the first change that the api refused.
pub(super) async fn carry_out(
    api: &Api,
    resolved: &Resolved<'_>,
    mut changes: Vec<Change>,
    secrets: &mut Secrets,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} changes {eta}")?;
    let bar = ProgressBar::new(u64::try_from(changes.len())?).with_style(style);
    let mut ids = Ids {
        organisations: resolved.groups.iter().map(|group| group.id.clone()).collect(),
        properties: resolved
            .slots
            .iter()
            .map(|slot| slot.there.map(|there| there.property_id.clone()))
            .collect(),
        made_with: BTreeMap::new(),
    };
    // Stable: within a phase in the order of the file.
    changes.sort_by_key(|change| change.phase);
    for phase in changes.chunk_by(|a, b| a.phase == b.phase) {
        if phase.first().is_some_and(|change| change.phase == Phase::KeysRevoked) {
            step::find_made_with(api, phase, &mut ids).await?;
        }
        let dones = run_phase(api, &ids, phase, secrets, &bar).await?;
        for Done { organisation, property, .. } in dones {
            if let Some((group, id)) = organisation
                && let Some(place) = ids.organisations.get_mut(group)
            {
                *place = Some(id);
            }
            if let Some((slot, id)) = property
                && let Some(place) = ids.properties.get_mut(slot)
            {
                *place = Some(id);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn run_phase(
    api: &Api,
    ids: &Ids,
    phase: &[Change],
    secrets: &mut Secrets,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Done>> {
    let is_stopped = AtomicBool::new(false);
    let begin = |change| {
        let is_stopped = &is_stopped;
        async move {
            if is_stopped.load(Ordering::Relaxed) {
                Ok(None)
            } else {
                step::run(api, ids, change).await.map(Some)
            }
        }
    };
    let mut under_way = stream::iter(phase).map(begin).buffer_unordered(CALLS_AT_ONCE);
    let (mut dones, mut refused) = (Vec::new(), None);
    while let Some(outcome) = under_way.next().await {
        let kept = outcome.and_then(|done| {
            if let Some(secret) = done.as_ref().and_then(|done| done.secret.as_ref()) {
                bar.suspend(|| secrets.put(secret))?;
            }
            Ok(done)
        });
        match kept {
            Ok(done) => dones.extend(done.inspect(|_| bar.inc(1))),
            Err(error) => {
                is_stopped.store(true, Ordering::Relaxed);
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        None => Ok(dones),
        Some(error) => {
            bar.finish_and_clear();
            Err(error.context(format!(
                "{} changes are made, this one is not; put it right and run the command again, which goes on from here",
                bar.position()
            )))
        }
    }
}
