//! The properties that are visited: from a file, from an earlier run, or made now.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::api::{Api, Property};

/// Beginning of the names of those made here.
const NAME: &str = "load test";
/// Made at once.
const AT_ONCE: usize = 16;

/// Properties, and how many of them existed before.
#[derive(Debug)]
pub struct Properties {
    /// In the order of their popularity.
    pub all: Vec<Property>,
    /// Their number that may have hits already; these come first.
    pub used_before: usize,
}

/// Properties from a file with a JSON object per line, as `meridian property create` and `list` print them.
///
/// # Errors
/// When it cannot be read, a line is not of this form, or there are fewer than `count`.
pub fn read(path: &Path, count: u32) -> anyhow::Result<Properties> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read --properties {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(count as usize);
    let all = (1..)
        .zip(lines)
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("{}: line {number} holds no property_id and measurement_id", path.display())
            })
        })
        .collect::<anyhow::Result<Vec<Property>>>()?;
    ensure!(
        all.len() == count as usize,
        "{} holds {} properties and the scenario visits {count}; lower traffic.properties or add some",
        path.display(),
        all.len()
    );
    Ok(Properties { used_before: all.len(), all })
}

/// Those of earlier runs, and as many new ones as are missing.
///
/// # Errors
/// When the API refuses.
pub async fn find_or_create(api: &Arc<Api>, count: u32) -> anyhow::Result<Properties> {
    let count = count as usize;
    let listed = api.properties().await?.into_iter();
    let mut named: Vec<(String, Property)> = listed.filter(|(name, _)| name.starts_with(NAME)).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.property_id.cmp(&b.1.property_id)));
    let mut all: Vec<Property> = named.into_iter().map(|(_, property)| property).take(count).collect();
    let used_before = all.len();
    let style = ProgressStyle::with_template("making properties {bar:40} {pos}/{len} {per_sec}")?;
    let bar = ProgressBar::new((count - used_before) as u64).with_style(style);
    let created: Vec<Property> = stream::iter(used_before..count)
        .map(|number| {
            let (api, bar) = (api.clone(), bar.clone());
            async move {
                let created = api.create(format!("{NAME} {number:07}")).await;
                bar.inc(1);
                created
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    all.extend(created);
    Ok(Properties { all, used_before })
}
