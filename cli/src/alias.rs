//! `meridian alias`: what other products call a site, so that their clients can send to Meridian.

use clap::{Args, Subcommand};
use comfy_table::Table;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{AddAliasRequest, Alias, ListAliasesRequest, RemoveAliasRequest};
use serde_json::json;

use crate::property::Format;
use crate::services::{ApiOptions, call_error};

/// What to do with aliases.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let what another product calls a site mean a property
    Add(ChangeArguments),
    /// Let it mean nothing again
    Remove(ChangeArguments),
    /// List aliases
    List(ListArguments),
}

/// Arguments of `alias add` and `alias remove`.
#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Whose clients send it: ga4, universal_analytics, plausible, umami, matomo, segment or snowplow
    #[arg(long)]
    protocol: String,
    /// The site's id there: G-…, UA-…, domain, website id, idsite, write key or app id
    #[arg(long)]
    id: String,
    /// Host name of the pages; needed for matomo and snowplow, whose ids are not unique
    #[arg(long, default_value = "", hide_default_value = true)]
    hostname: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `alias list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those of this property
    #[arg(long, default_value = "", hide_default_value = true)]
    property: String,
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
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add(arguments).await,
        Command::Remove(arguments) => remove(arguments).await,
        Command::List(arguments) => list(arguments).await,
    }
}

async fn add(arguments: ChangeArguments) -> anyhow::Result<()> {
    let (api, alias, format) = parts(arguments);
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let request = AddAliasRequest { alias: Some(alias) };
    let added = client.add_alias(request).await.map_err(|status| call_error(&status))?.into_inner();
    print(&added.alias.into_iter().collect::<Vec<_>>(), format);
    Ok(())
}

async fn remove(arguments: ChangeArguments) -> anyhow::Result<()> {
    let (api, alias, _) = parts(arguments);
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let request = RemoveAliasRequest { alias: Some(alias) };
    client.remove_alias(request).await.map_err(|status| call_error(&status))?;
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let mut client = PropertyServiceClient::new(arguments.api.connect().await?);
    let request = ListAliasesRequest { property_id: arguments.property };
    let answer = client.list_aliases(request).await.map_err(|status| call_error(&status))?;
    print(&answer.into_inner().aliases, arguments.format);
    Ok(())
}

fn parts(arguments: ChangeArguments) -> (ApiOptions, Alias, Format) {
    let ChangeArguments { property, protocol, id, hostname, api, format } = arguments;
    (api, Alias { property_id: property, protocol, id, hostname }, format)
}

fn print(aliases: &[Alias], format: Format) {
    match format {
        Format::Json => {
            for Alias { property_id, protocol, id, hostname } in aliases {
                println!(
                    "{}",
                    json!({ "property_id": property_id, "protocol": protocol, "id": id, "hostname": hostname })
                );
            }
        }
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["property_id", "protocol", "id", "hostname"]);
            for Alias { property_id, protocol, id, hostname } in aliases {
                table.add_row([property_id, protocol, id, hostname]);
            }
            println!("{table}");
        }
    }
}
