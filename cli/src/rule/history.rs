//! `meridian rule history`: what changed with each version of a property's rules, newest first.
//!
//! In: the versions, as files, and, if the key may read it, the audit. Out: each version with the fields that are not as in the one before,
//! and when and by whom it was set. Whoever may see the rules sees what changed; when and by whom is left empty for who may not read the
//! audit. Tracker settings have no versions and are not in it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use comfy_table::Table;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use property::{NewProperty, RulesFile};
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{AuditedChange, AuditedField, GetRulesRequest, GetRulesResponse, ListChangesRequest};
use serde_json::{Value, json};
use service::SystemClock;
use tonic::Code;

use crate::property::Format;
use crate::services::{ApiOptions, KeyedChannel, call_error};

/// Versions that are asked for at once.
const AT_ONCE: usize = 8;
/// Changes that one call answers.
const PAGE: u32 = 100;
/// The field of the audit that holds the version.
const VERSION: &str = "rules.version";

/// Arguments of `rule history`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Most versions to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A field that is not as in the version before.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    field: String,
    old: Value,
    new: Value,
}

/// When and by whom a version was set.
#[derive(Debug, Clone, PartialEq, Default)]
struct Origin {
    changed_at: String,
    who: String,
    /// Files of rules do not have the currency; the audit has it.
    currency: Option<Change>,
}

/// Prints the versions.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { property, limit, api, format } = arguments;
    let channel = api.connect().await?;
    let client = PropertyServiceClient::new(channel.clone());
    let newest = get(client.clone(), &property, 0).await?.version;
    let oldest = newest.saturating_sub(limit - 1).max(1);
    // What changed with the oldest shown is told by the one before it.
    let read = |version| get(client.clone(), &property, version);
    let versions = stream::iter(oldest.saturating_sub(1).max(1)..=newest).map(read).buffered(AT_ONCE);
    let versions: Vec<GetRulesResponse> = versions.try_collect().await?;
    let origins = origins(channel, &property, oldest).await?;
    let mut table = Table::new();
    table.set_header(["version", "changed_at", "who", "field", "old", "new"]);
    let mut before = None;
    let mut shown = Vec::new();
    for GetRulesResponse { version, rules, .. } in &versions {
        let origin = origins.get(version).cloned().unwrap_or_default();
        let mut changes = match before {
            Some(before) => changes(before, rules)?,
            None => Vec::new(),
        };
        changes.extend(origin.currency.clone());
        before = Some(rules.as_str());
        if *version >= oldest {
            shown.push((*version, origin, changes));
        }
    }
    for (version, origin, changes) in shown.into_iter().rev() {
        match format {
            Format::Json => println!("{}", to_json(version, &origin, &changes)),
            Format::Table => {
                table.add_rows(rows(version, &origin, &changes));
            }
        }
    }
    if format == Format::Table {
        println!("{table}");
    }
    Ok(())
}

async fn get(
    mut client: PropertyServiceClient<KeyedChannel>,
    property: &str,
    version: u32,
) -> anyhow::Result<GetRulesResponse> {
    let request = GetRulesRequest { property_id: property.to_owned(), version };
    Ok(client.get_rules(request).await.map_err(|status| call_error(&status))?.into_inner())
}

/// What differs between two files of rules.
fn changes(before: &str, after: &str) -> anyhow::Result<Vec<Change>> {
    let newer = "the rules are of a newer build; use a `meridian` as new as the api";
    let read = |text| RulesFile::parse(text).context(newer);
    let any = NewProperty { name: "any".to_owned(), ..NewProperty::default() };
    let any = any.create(SystemClock::shared().now_ms())?.property;
    let before = any.with_rules(read(before)?, 0).context(newer)?.property;
    let changed = before.with_rules(read(after)?, 0).context(newer)?.changes;
    Ok(changed
        .into_iter()
        .map(|change| Change { field: change.field, old: change.old, new: change.new })
        .collect())
}

/// When and by whom versions from the oldest one on were set; none if the key may not read the audit.
async fn origins(
    channel: KeyedChannel,
    property: &str,
    oldest: u32,
) -> anyhow::Result<BTreeMap<u32, Origin>> {
    let mut client = OrganisationServiceClient::new(channel);
    let (mut found, mut page_token) = (BTreeMap::new(), String::new());
    loop {
        let request = ListChangesRequest {
            property_id: property.to_owned(),
            page_size: PAGE,
            page_token,
            ..ListChangesRequest::default()
        };
        let answer = match client.list_changes(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::PermissionDenied => return Ok(found),
            Err(status) => return Err(call_error(&status)),
        };
        found.extend(answer.changes.iter().filter_map(|change| origin(change, property)));
        page_token = answer.next_page_token;
        if page_token.is_empty() || found.first_key_value().is_some_and(|(version, _)| *version <= oldest) {
            return Ok(found);
        }
    }
}

/// The version that a change has set, if it has.
fn origin(change: &AuditedChange, property: &str) -> Option<(u32, Origin)> {
    let record = change.records.iter().find(|record| record.record == format!("property/{property}"))?;
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let field = |name: &str| record.fields.iter().find(|field| field.field == name);
    let version = field(VERSION)?.after.parse().ok()?;
    let who = format!("{} {}", change.actor_kind, change.actor_id).trim_end().to_owned();
    let currency = field("rules.currency").filter(|field| !field.before.is_empty());
    let currency = currency.map(|AuditedField { before, after, .. }| Change {
        field: "currency".to_owned(),
        old: value(before),
        new: value(after),
    });
    Some((version, Origin { changed_at: change.changed_at.clone(), who, currency }))
}

/// A row for each field; the first says which version.
fn rows(version: u32, origin: &Origin, changes: &[Change]) -> Vec<[String; 6]> {
    let head = [version.to_string(), origin.changed_at.clone(), origin.who.clone()];
    let mut heads = std::iter::once(head).chain(std::iter::repeat_with(Default::default));
    let mut row = |field: String, old: String, new: String| {
        let [version, at, who] = heads.next().unwrap_or_default();
        [version, at, who, field, old, new]
    };
    if changes.is_empty() {
        return vec![row(String::new(), String::new(), String::new())];
    }
    let cells = |change: &Change| (change.field.clone(), change.old.to_string(), change.new.to_string());
    changes.iter().map(cells).map(|(field, old, new)| row(field, old, new)).collect()
}

fn to_json(version: u32, origin: &Origin, changes: &[Change]) -> Value {
    let changes: Vec<_> = changes
        .iter()
        .map(|Change { field, old, new }| json!({ "field": field, "old": old, "new": new }))
        .collect();
    json!({ "version": version, "changed_at": origin.changed_at, "who": origin.who, "changes": changes })
}

#[cfg(test)]
mod tests {
    use proto::config::AuditedRecord;

    use super::*;

    #[test]
    fn two_files_differ_in_what_was_set() {
        let found =
            changes("session_timeout_s = 300\n", "time_zone = \"Asia/Tokyo\"\n[urls]\nlower_case = true\n");
        let change = |field: &str, old: Value, new: Value| Change { field: field.to_owned(), old, new };
        let expected = [
            change("session_timeout_s", json!(300), json!(1800)),
            change("time_zone", json!("UTC"), json!("Asia/Tokyo")),
            change("urls.lower_case", json!(false), json!(true)),
        ];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn the_audit_says_when_a_version_was_set() {
        let field = |field: &str, before: &str, after: &str| AuditedField {
            field: field.into(),
            before: before.into(),
            after: after.into(),
        };
        let mut change = AuditedChange {
            changed_at: "2026-01-01T00:00:00Z".into(),
            actor_kind: "admin_key".into(),
            records: vec![AuditedRecord {
                record: "property/p_1".into(),
                fields: vec![field("rules.currency", "\"USD\"", "\"EUR\""), field(VERSION, "1", "2")],
            }],
            ..AuditedChange::default()
        };
        let (version, found) = origin(&change, "p_1").unwrap();
        assert_eq!(
            (version, found.who.as_str(), found.changed_at.as_str()),
            (2, "admin_key", "2026-01-01T00:00:00Z")
        );
        let rows = rows(2, &found, &found.currency.iter().cloned().collect::<Vec<_>>());
        assert_eq!(rows, [["2", "2026-01-01T00:00:00Z", "admin_key", "currency", "\"USD\"", "\"EUR\""]]);
        assert_eq!(origin(&change, "p_2"), None, "of another property");
        change.records[0].fields.pop();
        assert_eq!(origin(&change, "p_1"), None, "no version");
    }
}
