//! `meridian property show`, `update` and `rotate-secret`: one property, over the gRPC API.

use clap::Args;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{GetPropertyRequest, Property, RotateApiSecretRequest, UpdatePropertyRequest};

use super::{Format, print};
use crate::services::{ApiOptions, call_error};

/// Arguments of `property show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `property update`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct UpdateArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// New display name, 1 to 100 characters
    #[arg(long, group = "change")]
    name: Option<String>,
    /// New IANA time zone: a new version of the rules, for the hits that come from now on
    #[arg(long, alias = "timezone", value_name = "ZONE", group = "change")]
    time_zone: Option<String>,
    /// New ISO 4217 currency: a new version of the rules, for the hits that come from now on
    #[arg(long, group = "change")]
    currency: Option<String>,
    /// Host name of the site, in the place of those before; may be repeated
    #[arg(long = "hostname", value_name = "HOST", group = "change")]
    hostnames: Vec<String>,
    /// Take hits of any host name
    #[arg(long, group = "change", conflicts_with = "hostnames")]
    any_hostname: bool,
    /// New data region, for the hits that come from now on; "" for wherever the edge that takes them is at home
    #[arg(long, value_name = "NAME", group = "change")]
    data_region: Option<String>,
    /// Days for which what is counted is kept, 1 to 3650; 0: for ever. Older hits are deleted; it takes an owner or the admin key
    #[arg(long, value_name = "DAYS", group = "change")]
    retention_days: Option<u32>,
    /// Hits that are taken on a day in its zone, 0 for no limit; holds at once. Takes the admin key
    #[arg(long, value_name = "N", group = "change")]
    daily_hits: Option<u64>,
    /// Hits that each edge takes in a second, 0 for what the edge's configuration says; likewise
    #[arg(long, value_name = "N", group = "change")]
    hits_per_second: Option<u32>,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `property rotate-secret`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Seconds for which the secrets before it are accepted, 0 to 2592000 (30 days)
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    overlap: u32,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Prints a property.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub(super) async fn show(arguments: ShowArguments) -> anyhow::Result<()> {
    let mut client = PropertyServiceClient::new(arguments.api.connect().await?);
    let request = GetPropertyRequest { property_id: arguments.property };
    let found = client.get_property(request).await.map_err(|status| call_error(&status))?;
    print(&[found.into_inner()], arguments.format);
    Ok(())
}

/// Changes a property, and prints it.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub(super) async fn update(arguments: UpdateArguments) -> anyhow::Result<()> {
    let UpdateArguments {
        property,
        name,
        time_zone,
        currency,
        hostnames,
        any_hostname,
        data_region,
        retention_days,
        daily_hits,
        hits_per_second,
        api,
        format,
    } = arguments;
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let meant = [
        ("name", name.is_some()),
        ("time_zone", time_zone.is_some()),
        ("currency", currency.is_some()),
        ("hostnames", any_hostname || !hostnames.is_empty()),
        ("data_region", data_region.is_some()),
        ("retention_days", retention_days.is_some()),
        ("daily_hits", daily_hits.is_some()),
        ("hits_per_second", hits_per_second.is_some()),
    ];
    let paths = meant.iter().filter(|(_, is_meant)| *is_meant).map(|(field, _)| (*field).to_owned());
    let update_mask = Some(prost_types::FieldMask { paths: paths.collect() });
    let property = Property {
        property_id: property,
        name: name.unwrap_or_default(),
        time_zone: time_zone.unwrap_or_default(),
        currency: currency.unwrap_or_default(),
        hostnames,
        data_region: data_region.unwrap_or_default(),
        retention_days: retention_days.unwrap_or_default(),
        daily_hits: daily_hits.unwrap_or_default(),
        hits_per_second: hits_per_second.unwrap_or_default(),
        ..Property::default()
    };
    let request = UpdatePropertyRequest { property: Some(property), update_mask };
    let updated = client.update_property(request).await.map_err(|status| call_error(&status))?;
    print(&[updated.into_inner()], format);
    Ok(())
}

/// Makes a new API secret, and prints it.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub(super) async fn rotate(arguments: RotateArguments) -> anyhow::Result<()> {
    let RotateArguments { property, overlap, api, format } = arguments;
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let request = RotateApiSecretRequest { property_id: property.clone(), overlap_s: Some(overlap) };
    let rotated = client.rotate_api_secret(request).await.map_err(|status| call_error(&status))?.into_inner();
    crate::print::fields(
        &[
            ("property_id", property),
            ("api_secret", rotated.api_secret),
            ("previous_expire_at", rotated.previous_expire_at),
        ],
        format,
    );
    Ok(())
}
