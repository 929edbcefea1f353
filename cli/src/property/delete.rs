//! `meridian property delete`: a property with all that was counted of it, over the gRPC API.

use anyhow::bail;
use clap::Args;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::stream_service_client::StreamServiceClient;
use proto::config::{DeletePropertyRequest, GetPropertyRequest, ListAliasesRequest, ListStreamsRequest};

use super::Format;
use crate::erase;
use crate::services::{ApiOptions, call_error};

/// Arguments of `property delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Delete it; without this it is only said what would go
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(arguments: DeleteArguments) -> anyhow::Result<()> {
    let DeleteArguments { property: property_id, yes, api, format } = arguments;
    if !yes {
        bail!("{}", what_would_go(&api, property_id).await?);
    }
    let answer = erase::connect(&api).await?.delete_property(DeletePropertyRequest { property_id }).await;
    erase::print(&answer.map_err(|status| call_error(&status))?.into_inner(), format);
    Ok(())
}

async fn what_would_go(api: &ApiOptions, property_id: String) -> anyhow::Result<String> {
    let channel = api.connect().await?;
    let mut properties = PropertyServiceClient::new(channel.clone());
    let mut streams = StreamServiceClient::new(channel);
    let refused = |status| call_error(&status);
    let request = GetPropertyRequest { property_id: property_id.clone() };
    let property = properties.get_property(request).await.map_err(refused)?.into_inner();
    let request = ListAliasesRequest { property_id: property_id.clone() };
    let aliases = properties.list_aliases(request).await.map_err(refused)?.into_inner().aliases.len();
    let request = ListStreamsRequest { property_id: property_id.clone() };
    let streams = streams.list_streams(request).await.map_err(refused)?.into_inner().streams.len();
    Ok(format!(
        "nothing was deleted: {property_id} {:?} would go with its rules, {streams} data streams, {aliases} aliases, the report keys that \
         reach nothing else, and everything that was counted; there is no way back. Say --yes",
        property.name
    ))
}
