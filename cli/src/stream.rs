//! `meridian stream`: where hits of a property come from, each with a measurement id of its own.

use clap::{Args, Subcommand};
use comfy_table::Table;
use proto::config::stream_service_client::StreamServiceClient;
use proto::config::{
    CreateStreamRequest, DataStream, DeleteStreamRequest, ListStreamsRequest, UpdateStreamRequest,
};
use serde_json::json;

use crate::property::Format;
use crate::services::{ApiOptions, KeyedChannel, call_error};

/// What to do with data streams.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data stream with a measurement id of its own
    Create(CreateArguments),
    /// List the data streams of a property
    List(ListArguments),
    /// Rename a data stream
    Update(UpdateArguments),
    /// Delete a data stream: its measurement id is refused from then on, what was counted stays
    Delete(DeleteArguments),
}

/// Whose streams, and how they are shown.
#[derive(Debug, Args)]
pub struct Common {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `stream create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Display name, 1 to 100 characters: "Android app"
    #[arg(long)]
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `stream list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    common: Common,
}

/// Arguments of `stream update`.
#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// Measurement id of the stream, M-…
    #[arg(long)]
    measurement_id: String,
    /// Display name, 1 to 100 characters
    #[arg(long)]
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `stream delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Measurement id of the stream, M-…
    #[arg(long)]
    measurement_id: String,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(CreateArguments { name, common }) => {
            let request = CreateStreamRequest { property_id: common.property.clone(), name };
            let answer = connect(&common).await?.create_stream(request).await;
            print(&[answer.map_err(|status| call_error(&status))?.into_inner()], common.format);
        }
        Command::List(ListArguments { common }) => {
            let request = ListStreamsRequest { property_id: common.property.clone() };
            let answer = connect(&common).await?.list_streams(request).await;
            print(&answer.map_err(|status| call_error(&status))?.into_inner().streams, common.format);
        }
        Command::Update(UpdateArguments { measurement_id, name, common }) => {
            let property_id = common.property.clone();
            let request = UpdateStreamRequest { property_id, measurement_id, name };
            let answer = connect(&common).await?.update_stream(request).await;
            print(&[answer.map_err(|status| call_error(&status))?.into_inner()], common.format);
        }
        Command::Delete(DeleteArguments { measurement_id, common }) => {
            let request = DeleteStreamRequest { property_id: common.property.clone(), measurement_id };
            connect(&common).await?.delete_stream(request).await.map_err(|status| call_error(&status))?;
        }
    }
    Ok(())
}

async fn connect(common: &Common) -> anyhow::Result<StreamServiceClient<KeyedChannel>> {
    Ok(StreamServiceClient::new(common.api.connect().await?))
}

fn print(streams: &[DataStream], format: Format) {
    match format {
        Format::Json => {
            for DataStream { property_id, measurement_id, name, created_at } in streams {
                println!(
                    "{}",
                    json!({"property_id": property_id, "measurement_id": measurement_id, "name": name, "created_at": created_at})
                );
            }
        }
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["measurement_id", "name", "created_at"]);
            for DataStream { measurement_id, name, created_at, .. } in streams {
                let name = if name.is_empty() { "(made with the property)" } else { name };
                table.add_row([measurement_id, name, created_at]);
            }
            println!("{table}");
        }
    }
}
