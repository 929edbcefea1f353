//! `meridian audit`: who changed what in the configuration, newest first, over the gRPC API.

use clap::Args;
use comfy_table::Table;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::{AuditedChange, AuditedField, AuditedRecord, ListChangesRequest};
use serde_json::{Value, json};

use crate::property::Format;
use crate::services::{ApiOptions, call_error};

/// Most changes that one call answers.
const PAGE: u32 = 100;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only in this organisation, o_…; without it the one of the member's key, with the admin key all
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Only what is about this property, p_…
    #[arg(long, default_value = "", hide_default_value = true)]
    property: String,
    /// Only what this member changed, u_…
    #[arg(long, default_value = "", hide_default_value = true)]
    member: String,
    /// Most changes to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut client = OrganisationServiceClient::new(arguments.api.connect().await?);
    let (mut table, mut page_token, mut left) = (Table::new(), String::new(), arguments.limit);
    table.set_header(["changed_at", "who", "method", "record", "field", "before", "after"]);
    while left > 0 {
        let request = ListChangesRequest {
            organisation_id: arguments.organisation.clone(),
            property_id: arguments.property.clone(),
            member_id: arguments.member.clone(),
            page_size: left.min(PAGE),
            page_token,
        };
        let answer = client.list_changes(request).await.map_err(|status| call_error(&status))?.into_inner();
        left = left.saturating_sub(u32::try_from(answer.changes.len())?);
        for change in &answer.changes {
            match arguments.format {
                Format::Json => println!("{}", to_json(change)),
                Format::Table => {
                    table.add_rows(rows(change));
                }
            }
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if arguments.format == Format::Table {
        println!("{table}");
    }
    Ok(())
}

/// A row for each field; what is the same as in the row above is left out.
fn rows(change: &AuditedChange) -> Vec<[String; 7]> {
    let who = match change.actor_id.as_str() {
        "" => change.actor_kind.clone(),
        id => format!("{} {id}", change.actor_kind),
    };
    let mut rows = Vec::new();
    let mut head = [change.changed_at.clone(), who, change.method.clone()];
    for AuditedRecord { record, fields } in &change.records {
        let mut record = record.clone();
        for AuditedField { field, before, after } in fields {
            let [at, who, method] = std::mem::take(&mut head);
            let record = std::mem::take(&mut record);
            rows.push([at, who, method, record, field.clone(), before.clone(), after.clone()]);
        }
    }
    if rows.is_empty() {
        let [at, who, method] = head;
        rows.push([at, who, method, String::new(), String::new(), String::new(), String::new()]);
    }
    rows
}

fn to_json(change: &AuditedChange) -> Value {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let field = |AuditedField { field, before, after }: &AuditedField| json!({ "field": field, "before": value(before), "after": value(after) });
    let record = |AuditedRecord { record, fields }: &AuditedRecord| json!({ "record": record, "fields": fields.iter().map(field).collect::<Vec<_>>() });
    json!({
        "changed_at": change.changed_at, "version": change.version, "actor_kind": change.actor_kind,
        "actor_id": change.actor_id, "method": change.method,
        "records": change.records.iter().map(record).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> AuditedChange {
        let field = |field: &str, before: &str, after: &str| AuditedField {
            field: field.into(),
            before: before.into(),
            after: after.into(),
        };
        AuditedChange {
            changed_at: "2026-01-01T00:00:00Z".into(),
            version: 3,
            actor_kind: "member".into(),
            actor_id: "u_1".into(),
            method: "UpdateProperty".into(),
            records: vec![AuditedRecord {
                record: "property/p_1".into(),
                fields: vec![field("name", "\"A\"", "\"B\""), field("hostnames", "", "[]")],
            }],
        }
    }

    #[test]
    fn a_change_is_one_object_with_values_in_it() {
        let expected = r#"{"changed_at":"2026-01-01T00:00:00Z","version":3,"actor_kind":"member","actor_id":"u_1",
            "method":"UpdateProperty","records":[{"record":"property/p_1","fields":[
            {"field":"name","before":"A","after":"B"},{"field":"hostnames","before":null,"after":[]}]}]}"#;
        assert_eq!(to_json(&change()), serde_json::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn each_field_has_a_row_and_the_first_says_who() {
        let rows = rows(&change());
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][1..5], ["member u_1", "UpdateProperty", "property/p_1", "name"]);
        assert_eq!(rows[1][..5], ["", "", "", "", "hostnames"]);
        let empty = AuditedChange { records: Vec::new(), ..change() };
        assert_eq!(super::rows(&empty).len(), 1);
    }
}
