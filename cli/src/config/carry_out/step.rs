//! One step of `meridian config apply`: the call that carries it out.
//!
//! In: a change, and the ids of what was made before it. Out: the ids and secrets that the api answers. Nothing is tried twice: a call whose
//! answer was lost may have been carried out, and the next run sees whether it was.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use prost_types::FieldMask;
use proto::config as wire;

use super::super::entry::Kind;
use super::super::keys::{Called, MADE_WITH_PROPERTY, Reach, Reached, Wanted};
use super::super::model::{Alias, Property};
use super::super::plan::{Change, Step};
use super::super::secrets::Secret;
use super::super::there::Api;
use crate::services::{call_error, patiently};

/// Ids of what the file means, as far as they are known; by place in what the file was found to mean.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) organisations: Vec<Option<String>>,
    pub(super) properties: Vec<Option<String>>,
    /// Keys that came with new properties.
    pub(super) made_with: BTreeMap<usize, String>,
}

impl Ids {
    fn organisation(&self, group: usize) -> anyhow::Result<String> {
        self.organisations.get(group).cloned().flatten().context("its organisation is not made yet")
    }

    fn property(&self, slot: usize) -> anyhow::Result<String> {
        self.properties.get(slot).cloned().flatten().context("its property is not made yet")
    }
}

/// What a step gave.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// A new organisation: its place and id.
    pub(super) organisation: Option<(usize, String)>,
    /// A new property: its place and id.
    pub(super) property: Option<(usize, String)>,
    pub(super) secret: Option<Secret>,
}

/// Finds the keys that came with new properties and are to go.
///
/// # Errors
/// When the api refuses to list keys.
pub(super) async fn find_made_with(api: &Api, phase: &[Change], ids: &mut Ids) -> anyhow::Result<()> {
    let (mut groups, mut slots) = (BTreeSet::new(), BTreeMap::new());
    for change in phase {
        if let Step::RevokeKey { group, called: Called::MadeWith(slot) } = &change.step {
            groups.insert(*group);
            slots.insert(ids.property(*slot)?, *slot);
        }
    }
    for group in groups {
        let keys = api
            .report_keys(&ids.organisation(group)?)
            .await?
            .map_err(|refused| anyhow::anyhow!("{refused}"))?;
        for key in keys.into_iter().filter(|key| key.name == MADE_WITH_PROPERTY) {
            if let [property_id] = key.property_ids.as_slice()
                && let Some(slot) = slots.get(property_id)
            {
                ids.made_with.insert(*slot, key.key_id);
            }
        }
    }
    Ok(())
}

/// Carries out a change.
///
/// # Errors
/// With its place, and what the api says.
pub(super) async fn run(api: &Api, ids: &Ids, change: &Change) -> anyhow::Result<Done> {
    patiently(async || call(api, ids, change).await).await.with_context(|| change.entry.place.clone())
}

async fn call(api: &Api, ids: &Ids, change: &Change) -> anyhow::Result<Done> {
    match &change.step {
        Step::CreateOrganisation { .. }
        | Step::RenameOrganisation { .. }
        | Step::AddMember { .. }
        | Step::UpdateMember { .. }
        | Step::RemoveMember { .. } => people(api, ids, &change.step).await,
        Step::CreateProperty { group, slot, file } => create_property(api, ids, (*group, *slot), file).await,
        Step::UpdateProperty { .. }
        | Step::SetRules { .. }
        | Step::CreateStream { .. }
        | Step::DeleteStream { .. }
        | Step::AddAlias { .. }
        | Step::RemoveAlias { .. } => property(api, ids, &change.step).await,
        Step::CreateKey { group, key } => create_key(api, ids, *group, key).await,
        Step::RevokeKey { called, .. } => {
            let key_id = match called {
                Called::There(id) => id.clone(),
                Called::MadeWith(slot) => match ids.made_with.get(slot) {
                    Some(id) => id.clone(),
                    None => return Ok(Done::default()),
                },
            };
            let request = wire::RevokeKeyRequest { key_id };
            api.keys.clone().revoke_key(request).await.map_err(|status| call_error(&status))?;
            Ok(Done::default())
        }
    }
}

async fn people(api: &Api, ids: &Ids, step: &Step) -> anyhow::Result<Done> {
    let mut client = api.organisations.clone();
    let mut done = Done::default();
    match step {
        Step::CreateOrganisation { group, name } => {
            let request = wire::CreateOrganisationRequest { name: name.clone() };
            let made = client.create_organisation(request).await.map_err(|status| call_error(&status))?;
            done.organisation = Some((*group, made.into_inner().organisation_id));
        }
        Step::RenameOrganisation { group, name } => {
            let organisation = wire::Organisation {
                organisation_id: ids.organisation(*group)?,
                name: name.clone(),
                ..wire::Organisation::default()
            };
            let update_mask = Some(mask(&["name".to_owned()]));
            let request = wire::UpdateOrganisationRequest { organisation: Some(organisation), update_mask };
            client.update_organisation(request).await.map_err(|status| call_error(&status))?;
        }
        Step::AddMember { group, name, email, role } => {
            let request = wire::AddMemberRequest {
                organisation_id: ids.organisation(*group)?,
                name: name.clone(),
                email: email.clone(),
                role: role.clone(),
            };
            let added = client.add_member(request).await.map_err(|status| call_error(&status))?.into_inner();
            let member = added.member.unwrap_or_default();
            let fields = vec![
                ("organisation_id", member.organisation_id),
                ("member_id", member.member_id),
                ("key", added.key),
            ];
            done.secret = Some(Secret { kind: Kind::Member, name: email.clone(), fields });
        }
        Step::UpdateMember { member, paths } => {
            let (member, update_mask) = (Some((**member).clone()), Some(mask(paths)));
            let request = wire::UpdateMemberRequest { member, update_mask };
            client.update_member(request).await.map_err(|status| call_error(&status))?;
        }
        Step::RemoveMember { group, member_id } => {
            let (organisation_id, member_id) = (ids.organisation(*group)?, member_id.clone());
            let request = wire::RemoveMemberRequest { organisation_id, member_id };
            client.remove_member(request).await.map_err(|status| call_error(&status))?;
        }
        _ => {}
    }
    Ok(done)
}

async fn create_property(
    api: &Api,
    ids: &Ids,
    (group, slot): (usize, usize),
    file: &Property,
) -> anyhow::Result<Done> {
    let request = file.creation(&ids.organisation(group)?);
    let made = api.properties.clone().create_property(request).await;
    let made = made.map_err(|status| call_error(&status))?.into_inner();
    let fields = vec![
        ("property_id", made.property_id.clone()),
        ("measurement_id", made.measurement_id),
        ("api_secret", made.api_secret),
        ("report_key", made.report_key),
    ];
    let name = file.name.clone().unwrap_or_default();
    Ok(Done {
        property: Some((slot, made.property_id)),
        secret: Some(Secret { kind: Kind::Property, name, fields }),
        ..Done::default()
    })
}

async fn property(api: &Api, ids: &Ids, step: &Step) -> anyhow::Result<Done> {
    let mut client = api.properties.clone();
    match step {
        Step::UpdateProperty { property, paths } => {
            let (property, update_mask) = (Some((**property).clone()), Some(mask(paths)));
            let request = wire::UpdatePropertyRequest { property, update_mask };
            client.update_property(request).await.map_err(|status| call_error(&status))?;
        }
        Step::SetRules { slot, text } => {
            let (property_id, rules) = (ids.property(*slot)?, text.clone());
            let request = wire::SetRulesRequest { property_id, rules, dry_run: false };
            client.set_rules(request).await.map_err(|status| call_error(&status))?;
        }
        Step::CreateStream { slot, name } => {
            let request = wire::CreateStreamRequest { property_id: ids.property(*slot)?, name: name.clone() };
            api.streams.clone().create_stream(request).await.map_err(|status| call_error(&status))?;
        }
        Step::DeleteStream { slot, measurement_id } => {
            let (property_id, measurement_id) = (ids.property(*slot)?, measurement_id.clone());
            let request = wire::DeleteStreamRequest { property_id, measurement_id };
            api.streams.clone().delete_stream(request).await.map_err(|status| call_error(&status))?;
        }
        Step::AddAlias { slot, alias } => {
            let request = wire::AddAliasRequest { alias: Some(sent(alias, ids.property(*slot)?)) };
            client.add_alias(request).await.map_err(|status| call_error(&status))?;
        }
        Step::RemoveAlias { slot, alias } => {
            let request = wire::RemoveAliasRequest { alias: Some(sent(alias, ids.property(*slot)?)) };
            client.remove_alias(request).await.map_err(|status| call_error(&status))?;
        }
        _ => {}
    }
    Ok(Done::default())
}

async fn create_key(api: &Api, ids: &Ids, group: usize, key: &Wanted) -> anyhow::Result<Done> {
    let property_ids = match &key.reach {
        Some(Reach::These(reached)) => {
            let ids = reached.iter().map(|reached| match reached {
                Reached::There(id) => Ok(id.clone()),
                Reached::New(slot) => ids.property(*slot),
            });
            ids.collect::<anyhow::Result<_>>()?
        }
        Some(Reach::All) | None => Vec::new(),
    };
    let request = wire::CreateKeyRequest {
        organisation_id: ids.organisation(group)?,
        name: key.name.clone(),
        scopes: key.scopes.iter().flatten().cloned().collect(),
        property_ids,
        all_properties: key.reach == Some(Reach::All),
        expires_at: key.expires_at.clone().unwrap_or_default(),
        ..wire::CreateKeyRequest::default()
    };
    let made = api.keys.clone().create_key(request).await.map_err(|status| call_error(&status))?.into_inner();
    let made_key = made.key.unwrap_or_default();
    let fields = vec![("key_id", made_key.key_id), ("key", made.secret), ("expires_at", made_key.expires_at)];
    let secret = Secret { kind: Kind::Key, name: key.name.clone(), fields };
    Ok(Done { secret: Some(secret), ..Done::default() })
}

fn sent(alias: &Alias, property_id: String) -> wire::Alias {
    let Alias { protocol, id, hostname } = alias.clone();
    wire::Alias { property_id, protocol, id, hostname }
}

fn mask(paths: &[String]) -> FieldMask {
    FieldMask { paths: paths.to_vec() }
}
