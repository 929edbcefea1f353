//! Compares what reports say with what was acknowledged.
//!
//! In: the generator's own count, and what reports said before the run. Out: every difference, by property, day, event
//! and class. Asked is the API, as any user asks it, after everything acknowledged has arrived.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::api::{Api, Property};
use crate::generate::mix;
use crate::properties::Properties;
use crate::tally::{Key, Tally};

/// Reports at once.
const AT_ONCE: usize = 16;
/// Differences that are shown one by one.
const SHOWN: usize = 20;

/// Events by property before the run.
pub type Before = HashMap<u32, HashMap<Key, u64>>;

/// What the comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Properties that were compared.
    pub compared: usize,
    /// Properties with hits.
    pub visited: usize,
    /// Acknowledged hits of the compared ones, repeats not counted.
    pub acknowledged: u64,
    /// What reports say of them.
    pub reported: u64,
    /// Properties that differ.
    pub wrong: usize,
    /// The first differences as sentences.
    pub differences: Vec<String>,
}

/// What reports say of the properties that existed before.
///
/// # Errors
/// When the API refuses.
pub async fn before(api: &Arc<Api>, properties: &Properties, at_most: usize) -> anyhow::Result<Before> {
    let used = properties.all.iter().take(properties.used_before);
    let all = used.zip(0..).map(|(property, number)| (number, property.clone())).take(at_most).collect();
    ask(api, all).await
}

/// Compares at most `at_most` of the visited properties, drawn by the seed when there are more.
///
/// # Errors
/// When the API refuses.
pub async fn compare(
    api: &Arc<Api>,
    properties: &Properties,
    tally: &Tally,
    before: &Before,
    seed: u64,
    at_most: usize,
) -> anyhow::Result<Outcome> {
    let mut numbers = tally.properties();
    let visited = numbers.len();
    if visited > at_most {
        // What was there before is known of the first ones only.
        numbers.retain(|number| (*number as usize) < at_most || *number as usize >= properties.used_before);
        numbers.sort_unstable_by_key(|number| mix(seed, u64::from(*number)));
        numbers.truncate(at_most);
    }
    let asked = numbers.iter().map(|number| (*number, properties.all[*number as usize].clone())).collect();
    let mut reported = ask(api, asked).await?;
    let expected = tally.by_property();
    let mut outcome = Outcome {
        compared: numbers.len(),
        visited,
        acknowledged: 0,
        reported: 0,
        wrong: 0,
        differences: Vec::new(),
    };
    for number in numbers {
        let Some(expected) = expected.get(&number) else { continue };
        let mut now = reported.remove(&number).unwrap_or_default();
        for (key, count) in before.get(&number).into_iter().flatten() {
            let left = now.get(key).copied().unwrap_or(0).saturating_sub(*count);
            now.insert(*key, left);
        }
        outcome.acknowledged += expected.sure.values().chain(expected.either.values()).sum::<u64>();
        outcome.reported += now.values().sum::<u64>();
        let differences = expected.differences(&now);
        outcome.wrong += usize::from(!differences.is_empty());
        let id = &properties.all[number as usize].property_id;
        let room = SHOWN.saturating_sub(outcome.differences.len());
        outcome.differences.extend(differences.into_iter().take(room).map(|text| format!("{id}: {text}")));
    }
    Ok(outcome)
}

async fn ask(api: &Arc<Api>, properties: Vec<(u32, Property)>) -> anyhow::Result<Before> {
    stream::iter(properties)
        .map(|(number, property)| {
            let api = api.clone();
            async move { anyhow::Ok((number, api.events(number, &property).await?)) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
