//! `meridian property`: create, list, show and change properties, set and show their rules, over the gRPC API.

mod change;
mod delete;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{CreatePropertyRequest, ListPropertiesRequest, Property};
use serde_json::json;

use crate::rule;
use crate::services::{ApiOptions, KeyedChannel, call_error, every_page};

/// What to do with properties.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a property; prints its ids and keys as one JSON object (the keys are shown only here)
    Create(CreateArguments),
    /// List the properties that the key may see
    List(ListArguments),
    /// Show a property
    Show(change::ShowArguments),
    /// Change a property's name, host names, currency, time zone, data region, retention or quota
    Update(change::UpdateArguments),
    /// Delete a property with everything that was counted of it; takes the key of an owner
    Delete(delete::DeleteArguments),
    /// Make a new API secret; prints it (shown only here); those before it are accepted a while longer
    RotateSecret(change::RotateArguments),
    /// The same as `meridian rule set`: set a property's rules and tracker settings to what a file says
    Set(rule::SetArguments),
    /// The same as `meridian rule show`: print a property's rules and tracker settings as such a file
    #[command(disable_version_flag = true)] // --version is the rules'
    Rules(rule::ShowArguments),
}

/// Arguments of `property create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Display name, 1 to 100 characters
    #[arg(long, default_value = "My site")]
    name: String,
    /// IANA time zone that decides days and hours of reports
    #[arg(long, alias = "timezone", value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// ISO 4217 currency
    #[arg(long, default_value = "USD")]
    currency: String,
    /// Host name of the site; may be repeated
    #[arg(long = "hostname", value_name = "HOST")]
    hostnames: Vec<String>,
    /// Data region that its hits stay in; without it wherever the edge that takes them is at home
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    data_region: String,
    /// Days for which what is counted is kept, 1 to 3650; 0: for ever; without it what the operator chose for new ones
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Hits that are taken on a day in its zone, 0 for no limit; without it what the api's configuration says. Takes the admin key
    #[arg(long, value_name = "N")]
    daily_hits: Option<u64>,
    /// Hits that each edge takes in a second, 0 for what the edge's configuration says; likewise
    #[arg(long, value_name = "N")]
    hits_per_second: Option<u32>,
    /// Whose it is to be, o_…; without it the organisation of the member's key, with the admin key the operator's
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Arguments of `property list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those of this organisation, o_…
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One object per line.
    Json,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(arguments) => create(arguments).await,
        Command::List(arguments) => list(arguments).await,
        Command::Show(arguments) => change::show(arguments).await,
        Command::Update(arguments) => change::update(arguments).await,
        Command::Delete(arguments) => delete::run(arguments).await,
        Command::RotateSecret(arguments) => change::rotate(arguments).await,
        Command::Set(arguments) => rule::set(arguments).await,
        Command::Rules(arguments) => rule::show(arguments).await,
    }
}

async fn create(arguments: CreateArguments) -> anyhow::Result<()> {
    let mut client = PropertyServiceClient::new(arguments.api.connect().await?);
    let request = CreatePropertyRequest {
        name: arguments.name,
        time_zone: arguments.time_zone,
        currency: arguments.currency,
        hostnames: arguments.hostnames,
        data_region: arguments.data_region,
        retention_days: arguments.retention_days,
        organisation_id: arguments.organisation,
        daily_hits: arguments.daily_hits,
        hits_per_second: arguments.hits_per_second,
    };
    let created = client.create_property(request).await.map_err(|status| call_error(&status))?.into_inner();
    let fields = [
        ("property_id", created.property_id),
        ("measurement_id", created.measurement_id),
        ("api_secret", created.api_secret),
        ("report_key", created.report_key),
    ];
    crate::print::fields(&fields, arguments.format);
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let mut client = PropertyServiceClient::new(arguments.api.connect().await?);
    let properties = all(&mut client, &arguments.organisation).await?;
    print(&properties, arguments.format);
    Ok(())
}

/// Every property that the key may list, by name.
pub(crate) async fn all(
    client: &mut PropertyServiceClient<KeyedChannel>,
    organisation_id: &str,
) -> anyhow::Result<Vec<Property>> {
    let properties = every_page(async |page_token| {
        let organisation_id = organisation_id.to_owned();
        let request = ListPropertiesRequest { organisation_id, page_size: 0, page_token };
        let answer = client.list_properties(request).await?.into_inner();
        Ok((answer.properties, answer.next_page_token))
    });
    let mut properties = properties.await?;
    // Pages are by id; people look for a name.
    properties.sort_by(|a, b| (&a.name, &a.property_id).cmp(&(&b.name, &b.property_id)));
    Ok(properties)
}

fn print(properties: &[Property], format: Format) {
    match format {
        Format::Json => properties.iter().for_each(|property| println!("{}", to_json(property))),
        Format::Table => {
            let mut table = Table::new();
            table.set_header([
                "property_id",
                "measurement_id",
                "name",
                "time_zone",
                "hostnames",
                "data_region",
                "retention",
                "daily_hits",
                "hits_per_second",
            ]);
            for property in properties {
                let hostnames = property.hostnames.join(", ");
                let retention = match property.retention_days {
                    0 => "for ever".to_owned(),
                    days => format!("{days} days"),
                };
                let (daily_hits, hits_per_second) =
                    (limit(property.daily_hits), limit(property.hits_per_second.into()));
                table.add_row([
                    &property.property_id,
                    &property.measurement_id,
                    &property.name,
                    &property.time_zone,
                    &hostnames,
                    &property.data_region,
                    &retention,
                    &daily_hits,
                    &hits_per_second,
                ]);
            }
            println!("{table}");
        }
    }
}

/// A limit for people.
pub(crate) fn limit(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn to_json(property: &Property) -> serde_json::Value {
    json!({
        "property_id": property.property_id,
        "measurement_id": property.measurement_id,
        "name": property.name,
        "time_zone": property.time_zone,
        "currency": property.currency,
        "hostnames": property.hostnames,
        "data_region": property.data_region,
        "retention_days": property.retention_days,
        "daily_hits": property.daily_hits,
        "hits_per_second": property.hits_per_second,
        "created_at": property.created_at,
        "organisation_id": property.organisation_id,
    })
}
