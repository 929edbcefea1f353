//! `meridian key`: report keys and members' keys, over the gRPC API. A key is printed when it is made, and never again.

use clap::{Args, Subcommand};
use comfy_table::Table;
use proto::config::key_service_client::KeyServiceClient;
use proto::config::{CreateKeyRequest, Key, ListKeysRequest, RevokeKeyRequest, RotateKeyRequest};
use serde_json::{Value, json};

use crate::property::Format;
use crate::services::{ApiOptions, call_error, every_page};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a report key, or a key of a member; prints it (shown only here)
    Create(CreateArguments),
    /// List the keys of an organisation; never the keys themselves
    List(ListArguments),
    /// End a key at once
    Revoke(RevokeArguments),
    /// Make a key in the place of another; the old one is accepted a while longer
    Rotate(RotateArguments),
}

/// Arguments of `key create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Organisation id, o_…; without it the one of the member's key, with the admin key the operator's
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Display name, 1 to 100 characters: who uses the key
    #[arg(long)]
    name: String,
    /// Make a key of this member, u_…, which may do what the member may
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with_all = ["scopes", "properties", "all_properties"])]
    member: String,
    /// What a report key may do: reports, config.read; may be repeated (default: reports)
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Property id, p_…, that a report key reaches; may be repeated
    #[arg(long = "property", value_name = "PROPERTY", conflicts_with = "all_properties")]
    properties: Vec<String>,
    /// A report key reaches every property of the organisation, also later ones
    #[arg(long)]
    all_properties: bool,
    /// When the key ends, RFC 3339 (2027-01-31T12:00:00Z); without it never
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    expires_at: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Arguments of `key list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Organisation id, o_…; without it the one of the member's key, with the admin key the operator's
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `key revoke`.
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// What the key is called, k_…: `meridian key list` shows it
    #[arg(long, value_name = "KEY_ID")]
    id: String,
    #[command(flatten)]
    api: ApiOptions,
}

/// Arguments of `key rotate`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// What the key is called, k_…: `meridian key list` shows it
    #[arg(long, value_name = "KEY_ID")]
    id: String,
    /// Seconds for which the old key is accepted, 0 to 2592000 (30 days)
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    overlap: u32,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(arguments) => create(arguments).await,
        Command::List(arguments) => list(arguments).await,
        Command::Revoke(RevokeArguments { id: key_id, api }) => {
            let mut client = KeyServiceClient::new(api.connect().await?);
            let request = RevokeKeyRequest { key_id };
            client.revoke_key(request).await.map_err(|status| call_error(&status))?;
            Ok(())
        }
        Command::Rotate(arguments) => rotate(arguments).await,
    }
}

async fn create(arguments: CreateArguments) -> anyhow::Result<()> {
    let CreateArguments {
        organisation, name, member, scopes, properties, all_properties, expires_at, ..
    } = arguments;
    let mut client = KeyServiceClient::new(arguments.api.connect().await?);
    let request = CreateKeyRequest {
        organisation_id: organisation,
        name,
        member_id: member,
        scopes,
        property_ids: properties,
        all_properties,
        expires_at,
    };
    let created = client.create_key(request).await.map_err(|status| call_error(&status))?.into_inner();
    let Key { key_id, expires_at, .. } = created.key.unwrap_or_default();
    crate::print::fields(
        &[("key_id", key_id), ("key", created.secret), ("expires_at", expires_at)],
        arguments.format,
    );
    Ok(())
}

async fn rotate(arguments: RotateArguments) -> anyhow::Result<()> {
    let RotateArguments { id, overlap, api, format } = arguments;
    let mut client = KeyServiceClient::new(api.connect().await?);
    let request = RotateKeyRequest { key_id: id, overlap_s: Some(overlap) };
    let rotated = client.rotate_key(request).await.map_err(|status| call_error(&status))?.into_inner();
    let key = rotated.key.unwrap_or_default();
    let previous = rotated.previous.unwrap_or_default();
    crate::print::fields(
        &[
            ("key_id", key.key_id),
            ("key", rotated.secret),
            ("expires_at", key.expires_at),
            ("previous_key_id", previous.key_id),
            ("previous_expires_at", previous.expires_at),
        ],
        format,
    );
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let mut client = KeyServiceClient::new(arguments.api.connect().await?);
    let all = every_page(async |page_token| {
        let organisation_id = arguments.organisation.clone();
        let request = ListKeysRequest { organisation_id, page_size: 0, page_token };
        let answer = client.list_keys(request).await?.into_inner();
        Ok((answer.keys, answer.next_page_token))
    });
    let all = all.await?;
    match arguments.format {
        Format::Json => all.iter().for_each(|key| println!("{}", to_json(key))),
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["key_id", "name", "may", "where", "created_at", "expires_at"]);
            for key in &all {
                let (may, place) = what(key);
                table.add_row([&key.key_id, &key.name, &may, &place, &key.created_at, &key.expires_at]);
            }
            println!("{table}");
        }
    }
    Ok(())
}

/// What a key may do, and where.
fn what(key: &Key) -> (String, String) {
    if !key.member_id.is_empty() {
        return (format!("as {}", key.member_id), "organisation".to_owned());
    }
    let place = if key.all_properties { "all properties".to_owned() } else { key.property_ids.join(", ") };
    (key.scopes.join(", "), place)
}

fn to_json(key: &Key) -> Value {
    json!({
        "key_id": key.key_id, "organisation_id": key.organisation_id, "name": key.name, "member_id": key.member_id,
        "scopes": key.scopes, "property_ids": key.property_ids, "all_properties": key.all_properties,
        "created_at": key.created_at, "expires_at": key.expires_at,
    })
}
