//! `meridian org`: make, show and rename organisations, and make the first owner, over the gRPC API.

use clap::{Args, Subcommand};
use comfy_table::Table;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::{
    CreateFirstOwnerRequest, CreateOrganisationRequest, GetOrganisationRequest, ListOrganisationsRequest,
    Organisation, UpdateOrganisationRequest,
};
use serde_json::{Value, json};

use crate::property::Format;
use crate::services::{ApiOptions, call_error, every_page};

/// What to do with organisations.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the first organisation and its owner, once; prints the owner's key (shown only here)
    FirstOwner(FirstOwnerArguments),
    /// Create an organisation; takes the admin key
    Create(CreateArguments),
    /// List the organisations that the key may see
    List(ListArguments),
    /// Show an organisation
    Show(ShowArguments),
    /// Rename an organisation
    Update(UpdateArguments),
}

/// Arguments of `org first-owner`.
#[derive(Debug, Args)]
pub struct FirstOwnerArguments {
    /// Display name of the organisation, 1 to 100 characters
    #[arg(long, value_name = "NAME")]
    organisation: String,
    /// Display name of the owner, 1 to 100 characters
    #[arg(long)]
    name: String,
    /// E-mail address of the owner
    #[arg(long)]
    email: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Arguments of `org create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Display name, 1 to 100 characters
    #[arg(long)]
    name: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Arguments of `org list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `org show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `org update`.
#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Its new display name, 1 to 100 characters
    #[arg(long)]
    name: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::FirstOwner(arguments) => first_owner(arguments).await,
        Command::Create(CreateArguments { name, api, format }) => {
            let mut client = OrganisationServiceClient::new(api.connect().await?);
            let request = CreateOrganisationRequest { name };
            let created = client.create_organisation(request).await.map_err(|status| call_error(&status))?;
            print(&[created.into_inner()], format);
            Ok(())
        }
        Command::List(arguments) => list(arguments).await,
        Command::Show(ShowArguments { organisation: organisation_id, api, format }) => {
            let mut client = OrganisationServiceClient::new(api.connect().await?);
            let request = GetOrganisationRequest { organisation_id };
            let found = client.get_organisation(request).await.map_err(|status| call_error(&status))?;
            print(&[found.into_inner()], format);
            Ok(())
        }
        Command::Update(UpdateArguments { organisation: organisation_id, name, api, format }) => {
            let mut client = OrganisationServiceClient::new(api.connect().await?);
            let organisation = Some(Organisation { organisation_id, name, created_at: String::new() });
            let update_mask = Some(prost_types::FieldMask { paths: vec!["name".to_owned()] });
            let request = UpdateOrganisationRequest { organisation, update_mask };
            let updated = client.update_organisation(request).await.map_err(|status| call_error(&status))?;
            print(&[updated.into_inner()], format);
            Ok(())
        }
    }
}

async fn first_owner(arguments: FirstOwnerArguments) -> anyhow::Result<()> {
    let FirstOwnerArguments { organisation, name, email, api, format } = arguments;
    let mut client = OrganisationServiceClient::new(api.connect().await?);
    let request = CreateFirstOwnerRequest { organisation_name: organisation, name, email };
    let made = client.create_first_owner(request).await.map_err(|status| call_error(&status))?.into_inner();
    let organisation_id = made.organisation.unwrap_or_default().organisation_id;
    let member_id = made.member.unwrap_or_default().member_id;
    crate::print::fields(
        &[("organisation_id", organisation_id), ("member_id", member_id), ("key", made.key)],
        format,
    );
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let mut client = OrganisationServiceClient::new(arguments.api.connect().await?);
    let all = every_page(async |page_token| {
        let request = ListOrganisationsRequest { page_size: 0, page_token };
        let answer = client.list_organisations(request).await?.into_inner();
        Ok((answer.organisations, answer.next_page_token))
    });
    let all = all.await?;
    print(&all, arguments.format);
    Ok(())
}

fn print(organisations: &[Organisation], format: Format) {
    match format {
        Format::Json => organisations.iter().for_each(|organisation| println!("{}", to_json(organisation))),
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["organisation_id", "name", "created_at"]);
            for Organisation { organisation_id, name, created_at } in organisations {
                table.add_row([organisation_id, name, created_at]);
            }
            println!("{table}");
        }
    }
}

fn to_json(organisation: &Organisation) -> Value {
    let Organisation { organisation_id, name, created_at } = organisation;
    json!({ "organisation_id": organisation_id, "name": name, "created_at": created_at })
}
