//! `meridian config apply`: makes what is configured as a file says.
//!
//! In: the file. Out: what differs, then the same carried out, unless it is a dry run. The whole file is checked before the first change. A
//! second run finds nothing to do, and one after a break what is left.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::config as wire;
use serde_json::json;

use super::carry_out::carry_out;
use super::model::Model;
use super::plan::{Details, Plan, plan};
use super::resolve::{Resolved, There, resolve};
use super::say;
use super::secrets::Secrets;
use super::there::{Api, CALLS_AT_ONCE};
use crate::Failure;
use crate::services::ApiOptions;

/// Arguments of `config apply`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file, YAML or JSON, as `config export` writes it; `-` is the standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only print what differs; exit code 4 if anything does
    #[arg(long)]
    dry_run: bool,
    /// Remove what a given list does not have: data streams, aliases, host names, members, keys; never properties or organisations
    #[arg(long)]
    prune: bool,
    /// Append new keys and secrets to this file, which only its owner may read; without it they go to the standard output
    #[arg(long, value_name = "FILE")]
    secrets_to: Option<PathBuf>,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of what is printed
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Lines for people
    Text,
    /// One object per change
    Json,
}

/// Applies a file.
///
/// # Errors
/// When the file has a mistake, or the API cannot be reached or refuses; of a dry run also when anything differs.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { file, dry_run, prune, secrets_to, api, format } = arguments;
    let model = tokio::task::spawn_blocking(move || Model::read(&file)).await.context("reading --file")??;
    let api = Api::new(api.connect().await?);
    let there = there(&api, &model).await?;
    let resolved = resolve(&model, &there)?;
    let details = details(&api, &resolved).await?;
    let plan = plan(&resolved, &details, prune)?;
    print(&plan, dry_run, format)?;
    let count = plan.changes.len();
    if dry_run || count == 0 {
        return if count == 0 { Ok(()) } else { Err(Failure::Differs) };
    }
    let mut secrets = Secrets::open(secrets_to.as_deref())?;
    let carried_out = Box::pin(carry_out(&api, &resolved, plan.changes, &mut secrets)).await;
    secrets.finish()?;
    carried_out?;
    match format {
        Form::Text => say(&format!("{} made; edges that are connected have them\n", changes(count)))?,
        Form::Json => say(&format!("{}\n", json!({ "event": "applied", "changes": count })))?,
    }
    Ok(())
}

/// Asks for what the file may mean: so that a small file is applied as fast where there are many organisations.
async fn there(api: &Api, model: &Model) -> anyhow::Result<There> {
    let (is_operator, organisations) = (api.is_operator().await?, api.organisations().await?);
    let files = model.organisations.as_deref().unwrap_or_default();
    let ids: BTreeSet<_> = files.iter().filter_map(|file| file.id.as_ref()).collect();
    let names: BTreeSet<_> = files.iter().filter_map(|file| file.name.as_ref()).collect();
    let is_meant =
        |found: &&wire::Organisation| ids.contains(&found.organisation_id) || names.contains(&found.name);
    let meant = organisations.iter().filter(is_meant);
    let read = meant.map(|found| api.properties(&found.organisation_id));
    let mut properties: Vec<_> = stream::iter(read).buffer_unordered(CALLS_AT_ONCE).try_concat().await?;
    if is_operator && (model.properties.is_some() || model.keys.is_some()) {
        // There is no list of the operator's own alone.
        let all = api.properties("").await?;
        properties.extend(all.into_iter().filter(|property| property.organisation_id.is_empty()));
    }
    Ok(There { is_operator, organisations, properties })
}

/// Asks for what the file speaks of.
async fn details(api: &Api, resolved: &Resolved<'_>) -> anyhow::Result<Details> {
    let mut details = Details::default();
    let groups = resolved.groups.iter().enumerate();
    let known: Vec<_> = groups.filter_map(|(index, group)| Some((index, group, group.id.clone()?))).collect();
    let members = known.iter().filter(|(_, group, _)| group.members.is_some());
    let members = members.map(|(index, _, id)| async move { anyhow::Ok((*index, api.members(id).await?)) });
    details.members = stream::iter(members).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
    let keys = known.iter().filter(|(_, group, _)| group.keys.is_some());
    let keys = keys.map(|(index, _, id)| async move { anyhow::Ok((*index, api.report_keys(id).await?)) });
    details.keys = stream::iter(keys).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
    if resolved.slots.iter().any(|slot| slot.file.aliases.is_some()) {
        // Of all properties of the file: an alias may be with another of them.
        let there = resolved.slots.iter().filter_map(|slot| slot.there);
        details.aliases = api.aliases(there.map(|there| there.property_id.clone())).await?;
    }
    let with_streams = resolved.slots.iter().filter(|slot| slot.file.streams.is_some());
    let ids = with_streams.filter_map(|slot| slot.there.map(|there| there.property_id.clone()));
    details.streams = api.streams(ids).await?;
    let with_rules = resolved.slots.iter().filter(|slot| slot.file.rules.is_some());
    let ids = with_rules.filter_map(|slot| slot.there.map(|there| there.property_id.clone()));
    details.rules = api.rules(ids).await?;
    Ok(details)
}

fn print(plan: &Plan, is_dry_run: bool, format: Form) -> anyhow::Result<()> {
    let entries = plan.changes.iter().map(|change| &change.entry).chain(&plan.left);
    let mut text = String::new();
    match format {
        Form::Json => {
            entries.for_each(|entry| text.push_str(&format!("{}\n", entry.json())));
        }
        Form::Text => {
            entries.for_each(|entry| text.push_str(&entry.text()));
            let what = match (plan.changes.len(), is_dry_run) {
                (0, _) => "nothing changes: all is as the file says\n".to_owned(),
                (count, true) => format!("dry run: {} would be made\n", changes(count)),
                (count, false) => format!("{} to make\n", changes(count)),
            };
            text.push_str(&what);
        }
    }
    say(&text)
}

fn changes(count: usize) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}
