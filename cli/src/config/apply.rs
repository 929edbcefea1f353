//! `meridian config apply`: makes what is configured as a file says.
//!
//! In: the file. Out: what differs, then the same carried out, unless it is a dry run. The whole file is checked before the first change. A
//! second run finds nothing to do, and one after a break what is left.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::carry_out::carry_out;
use super::model::Model;
use super::plan::{Details, Plan, plan};
use super::resolve::{Resolved, There, resolve};
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
    /// Remove what a given list does not have: aliases, host names, members, keys; never properties or organisations
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
    let there = There {
        is_operator: api.is_operator().await?,
        organisations: api.organisations().await?,
        properties: api.properties("").await?,
    };
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
        details.aliases = api.aliases().await?;
    }
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

/// Unlike `println!` it does not end the process when nobody listens any more, for keys may be under way.
fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output is closed")
}
