//! `meridian config export`: what is configured, as a file that `config apply` takes.
//!
//! In: a key's reach, or one organisation of it. Out: the file, in an order that depends on names and contents alone, so that two exports
//! of one state are the same. Members and keys that the key may not list are left out of the file, which says nothing of them then.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use property::RulesFile;
use proto::config as wire;

use super::model::{Alias, Form, Key, Member, Model, Organisation, Property};
use super::say;
use super::there::{Api, CALLS_AT_ONCE, Listed};
use crate::member::Role;
use crate::services::ApiOptions;

/// Arguments of `config export`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this organisation, o_…; without it all that the key may see, with the admin key the operator's own too
    #[arg(long, default_value = "", hide_default_value = true)]
    organisation: String,
    /// Names in the place of ids, to apply the file to another deployment
    #[arg(long)]
    without_ids: bool,
    #[command(flatten)]
    api: ApiOptions,
    /// How the file is written
    #[arg(long, value_enum, default_value_t = Form::Yaml)]
    format: Form,
}

/// What is known of all properties.
struct Known {
    streams: BTreeMap<String, Vec<wire::DataStream>>,
    aliases: BTreeMap<String, Vec<wire::Alias>>,
    rules: BTreeMap<String, String>,
    without_ids: bool,
}

/// Prints the file.
///
/// # Errors
/// When the API cannot be reached or refuses; when there are no names to use in the place of ids.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { organisation, without_ids, api, format } = arguments;
    let api = Api::new(api.connect().await?);
    let organisations = match organisation.as_str() {
        "" => api.organisations().await?,
        id => vec![api.organisation(id).await?],
    };
    let mut properties: BTreeMap<String, Vec<wire::Property>> = BTreeMap::new();
    let all = api.properties(&organisation).await?;
    let ids = || all.iter().map(|property| property.property_id.clone());
    let (streams, aliases) = (api.streams(ids()).await?, api.aliases(ids()).await?);
    let known = Known { streams, aliases, rules: api.rules(ids()).await?, without_ids };
    for property in all {
        properties.entry(property.organisation_id.clone()).or_default().push(property);
    }
    let (mut model, mut exported) = (Model::default(), Vec::new());
    let people = organisations.into_iter().map(|found| {
        let api = &api;
        async move {
            let (members, keys) = tokio::try_join!(
                api.members(&found.organisation_id),
                api.report_keys(&found.organisation_id)
            )?;
            anyhow::Ok((found, members, keys))
        }
    });
    // Two calls for each.
    let mut people = stream::iter(people).buffered(CALLS_AT_ONCE / 2);
    while let Some((found, members, keys)) = people.try_next().await? {
        let id = found.organisation_id;
        let own = properties.remove(&id).unwrap_or_default();
        let members = told(&found.name, "members", members);
        let keys = told(&found.name, "keys", keys);
        let keys = keys.map(|keys| known.keys(keys, &own)).transpose()?;
        exported.push(Organisation {
            members: members.map(written_members).transpose()?,
            properties: Some(known.properties(own)?),
            keys,
            name: Some(found.name),
            id: Some(id).filter(|_| !without_ids),
        });
    }
    exported.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    model.organisations = Some(exported);
    if organisation.is_empty() && api.is_operator().await? {
        let own = properties.remove("").unwrap_or_default();
        let keys = told("the operator", "keys", api.report_keys("").await?);
        model.keys = keys.map(|keys| known.keys(keys, &own)).transpose()?;
        model.properties = Some(known.properties(own)?);
    }
    say(&model.text(format)?)
}

/// The list, or a word on standard error that it is left out.
fn told<T>(organisation: &str, what: &str, listed: Listed<T>) -> Option<Vec<T>> {
    listed.map_err(|refused| eprintln!("meridian: {what} of {organisation:?} are left out: {refused}")).ok()
}

fn written_members(members: Vec<wire::Member>) -> anyhow::Result<Vec<Member>> {
    let written = members.into_iter().map(|member| {
        let role = serde_json::from_value::<Role>(member.role.into())
            .context("a role that this build does not know; use a `meridian` as new as the api")?;
        Ok(Member { email: member.email, name: Some(member.name), role: Some(role) })
    });
    let mut written = written.collect::<anyhow::Result<Vec<_>>>()?;
    written.sort_by(|a, b| a.email.cmp(&b.email));
    Ok(written)
}

impl Known {
    fn properties(&self, found: Vec<wire::Property>) -> anyhow::Result<Vec<Property>> {
        let mut written = Vec::with_capacity(found.len());
        for property in found {
            let id = &property.property_id;
            let rules = self.rules.get(id).with_context(|| format!("{id} has no rules"))?;
            let rules = RulesFile::parse(rules)
                .with_context(|| format!("rules of {id}; use a `meridian` as new as the api"))?;
            let aliases = self.aliases.get(id).into_iter().flatten().map(|alias| Alias {
                protocol: alias.protocol.clone(),
                id: alias.id.clone(),
                hostname: alias.hostname.clone(),
            });
            let mut aliases: Vec<_> = aliases.collect();
            aliases.sort_unstable();
            let streams = self.streams.get(id).into_iter().flatten();
            let mut streams: Vec<_> = streams.map(|stream| stream.name.clone()).collect();
            streams.sort_unstable();
            // Two of a name are one in a file: it tells them by their names.
            streams.dedup();
            written.push(Property {
                id: Some(id.clone()).filter(|_| !self.without_ids),
                streams: Some(streams),
                aliases: Some(aliases),
                rules: Some(rules),
                ..Property::of(&property)
            });
        }
        written.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        if let Some(name) = self.twice(&written) {
            bail!(
                "two properties of one organisation are called {name:?}, and without ids nobody could tell them apart; rename one, or leave --without-ids out"
            );
        }
        Ok(written)
    }

    /// A name that is needed to tell properties apart and does not.
    fn twice<'a>(&self, written: &'a [Property]) -> Option<&'a String> {
        let mut names =
            written.iter().filter(|_| self.without_ids).filter_map(|property| property.name.as_ref());
        let mut before = names.next()?;
        for name in names {
            if name == before {
                return Some(name);
            }
            before = name;
        }
        None
    }

    fn keys(&self, found: Vec<wire::Key>, own: &[wire::Property]) -> anyhow::Result<Vec<Key>> {
        let names: BTreeMap<_, _> =
            own.iter().map(|property| (&property.property_id, &property.name)).collect();
        let named = |id: &String| match names.get(id) {
            Some(name) if self.without_ids => (*name).clone(),
            _ => id.clone(),
        };
        let mut written: Vec<_> = found
            .into_iter()
            .map(|mut key| {
                key.scopes.sort_unstable();
                let mut properties: Vec<_> = key.property_ids.iter().map(named).collect();
                properties.sort_unstable();
                Key {
                    name: key.name,
                    scopes: Some(key.scopes),
                    properties: (!key.all_properties).then_some(properties),
                    all_properties: key.all_properties.then_some(true),
                    expires_at: Some(key.expires_at).filter(|time| !time.is_empty()),
                }
            })
            .collect();
        written.sort_by(|a, b| {
            (&a.name, &a.properties, &a.scopes, &a.expires_at).cmp(&(
                &b.name,
                &b.properties,
                &b.scopes,
                &b.expires_at,
            ))
        });
        Ok(written)
    }
}
