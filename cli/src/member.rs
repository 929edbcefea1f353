//! `meridian member`: the people of an organisation, over the gRPC API.

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use proto::config::organisation_service_client::OrganisationServiceClient;
use proto::config::{AddMemberRequest, ListMembersRequest, Member, RemoveMemberRequest, UpdateMemberRequest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::property::Format;
use crate::services::{ApiOptions, call_error, every_page};

/// What to do with members.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a member; prints its id and key (shown only here)
    Add(AddArguments),
    /// Change name, e-mail address or role of a member
    Update(UpdateArguments),
    /// Remove a member and all its keys
    Remove(RemoveArguments),
    /// List the members of an organisation
    List(ListArguments),
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads reports and configuration
    Viewer,
    /// Changes properties, rules and aliases, too
    Editor,
    /// Changes members, keys and the organisation, and reads the audit, too
    Owner,
}

impl Role {
    /// As the API calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }
}

/// Arguments of `member add`.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Display name, 1 to 100 characters
    #[arg(long)]
    name: String,
    /// E-mail address
    #[arg(long)]
    email: String,
    /// What the member may do
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// Arguments of `member update`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct UpdateArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Member id, u_…
    #[arg(long)]
    member: String,
    /// New display name, 1 to 100 characters
    #[arg(long, group = "change")]
    name: Option<String>,
    /// New e-mail address
    #[arg(long, group = "change")]
    email: Option<String>,
    /// What the member may do from now on
    #[arg(long, value_enum, group = "change")]
    role: Option<Role>,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `member remove`.
#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Member id, u_…
    #[arg(long)]
    member: String,
    #[command(flatten)]
    api: ApiOptions,
}

/// Arguments of `member list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Organisation id, o_…; without it the one of the member's key
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
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
        Command::Update(arguments) => update(arguments).await,
        Command::Remove(RemoveArguments { organisation: organisation_id, member: member_id, api }) => {
            let mut client = OrganisationServiceClient::new(api.connect().await?);
            let request = RemoveMemberRequest { organisation_id, member_id };
            client.remove_member(request).await.map_err(|status| call_error(&status))?;
            Ok(())
        }
        Command::List(arguments) => list(arguments).await,
    }
}

async fn add(arguments: AddArguments) -> anyhow::Result<()> {
    let AddArguments { organisation: organisation_id, name, email, role, api, format } = arguments;
    let mut client = OrganisationServiceClient::new(api.connect().await?);
    let request = AddMemberRequest { organisation_id, name, email, role: role.as_str().to_owned() };
    let added = client.add_member(request).await.map_err(|status| call_error(&status))?.into_inner();
    let Member { organisation_id, member_id, role, .. } = added.member.unwrap_or_default();
    crate::print::fields(
        &[("organisation_id", organisation_id), ("member_id", member_id), ("role", role), ("key", added.key)],
        format,
    );
    Ok(())
}

async fn update(arguments: UpdateArguments) -> anyhow::Result<()> {
    let UpdateArguments { organisation, member, name, email, role, api, format } = arguments;
    let mut client = OrganisationServiceClient::new(api.connect().await?);
    let role = role.map(|role| role.as_str().to_owned());
    let fields = [("name", &name), ("email", &email), ("role", &role)];
    let paths = fields.iter().filter(|(_, value)| value.is_some()).map(|(field, _)| (*field).to_owned());
    let update_mask = Some(prost_types::FieldMask { paths: paths.collect() });
    let member = Member {
        organisation_id: organisation,
        member_id: member,
        name: name.unwrap_or_default(),
        email: email.unwrap_or_default(),
        role: role.unwrap_or_default(),
        created_at: String::new(),
    };
    let request = UpdateMemberRequest { member: Some(member), update_mask };
    let updated = client.update_member(request).await.map_err(|status| call_error(&status))?;
    print(&[updated.into_inner()], format);
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let mut client = OrganisationServiceClient::new(arguments.api.connect().await?);
    let all = every_page(async |page_token| {
        let organisation_id = arguments.organisation.clone();
        let request = ListMembersRequest { organisation_id, page_size: 0, page_token };
        let answer = client.list_members(request).await?.into_inner();
        Ok((answer.members, answer.next_page_token))
    });
    let all = all.await?;
    print(&all, arguments.format);
    Ok(())
}

fn print(members: &[Member], format: Format) {
    match format {
        Format::Json => members.iter().for_each(|member| println!("{}", to_json(member))),
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["member_id", "name", "email", "role", "created_at"]);
            for Member { organisation_id: _, member_id, name, email, role, created_at } in members {
                table.add_row([member_id, name, email, role, created_at]);
            }
            println!("{table}");
        }
    }
}

fn to_json(member: &Member) -> Value {
    let Member { organisation_id, member_id, name, email, role, created_at } = member;
    json!({
        "organisation_id": organisation_id, "member_id": member_id, "name": name, "email": email, "role": role,
        "created_at": created_at,
    })
}
