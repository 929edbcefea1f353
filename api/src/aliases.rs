//! Claims, gives up and lists aliases: what other products call a site.
//!
//! An alias is durable, and in force at connected edges, before it is answered. One that a property of another organisation has is refused
//! without a word of whose it is; within an organisation, and for the admin, the refusal names the property.

use configuration::replica::{Reader, Records as _};
use configuration::stored;
use http::HeaderMap;
use property::{Alias, OwnedAlias};
use protocol::Protocol;

use crate::authorize::Action;
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::metrics::Method;
use crate::page::Page;
use crate::properties::list;
use crate::refuse::{Code, Refusal};

impl ConfigCalls {
    /// Claims an alias; gives it as it is looked up.
    ///
    /// # Errors
    /// `InvalidArgument`, `PermissionDenied`, `NotFound` for the admin, `AlreadyExists` when another property has it.
    pub async fn claim_alias(&self, headers: &HeaderMap, wanted: OwnedAlias) -> Result<OwnedAlias, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            access.property(draft, Action::ChangeProperty, &wanted.property_id)?;
            let owned = canonical(wanted.clone())?;
            claim(draft, access, &owned)?;
            Ok(owned)
        };
        self.change(Method::AddAlias, headers, make).await
    }

    /// Gives an alias up.
    ///
    /// # Errors
    /// `InvalidArgument`, `PermissionDenied`, `NotFound`.
    pub async fn release_alias(&self, headers: &HeaderMap, unwanted: OwnedAlias) -> Result<(), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            access.property(draft, Action::ChangeProperty, &unwanted.property_id)?;
            release(draft, &canonical(unwanted.clone())?)
        };
        self.change(Method::RemoveAlias, headers, make).await
    }

    /// Aliases of a property; of all that the caller may see when the id is empty.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn aliases(
        &self,
        headers: &HeaderMap,
        property_id: String,
    ) -> Result<Vec<OwnedAlias>, Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            if !property_id.is_empty() {
                access.property(reader, Action::ReadProperty, &property_id)?;
                return of_property(reader, &property_id);
            }
            let all = Page { limit: usize::MAX, after: String::new() };
            let mut aliases = Vec::new();
            for named in list(reader, access, "", &all)?.0 {
                aliases.extend(of_property(reader, &named.property.property_id)?);
            }
            Ok(aliases)
        };
        self.read(Method::ListAliases, headers, read).await
    }
}

/// In order.
fn of_property(reader: &Reader<'_>, property_id: &str) -> Result<Vec<OwnedAlias>, Refusal> {
    let prefix = format!("{}{property_id}/", stored::ALIAS_OF);
    let mut keys = Vec::new();
    let told = reader.for_each(&prefix, &mut |key, _empty| {
        // PROPERTY/PROTOCOL/HOSTNAME/ID
        keys.extend(key.strip_prefix(&prefix).map(|alias| format!("{}{alias}", stored::ALIAS)));
    });
    told.map_err(|error| unreadable(&error))?;
    let mut aliases = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(value) = reader.get(&key).map_err(|error| unreadable(&error))? {
            aliases.push(stored::read_alias(&key, &value).map_err(|error| unreadable(&error))?);
        }
    }
    aliases.sort_by(|a, b| a.alias.cmp(&b.alias));
    Ok(aliases)
}

fn claim(draft: &mut Draft<'_>, access: &Access, owned: &OwnedAlias) -> Result<(), Refusal> {
    owned.alias.check().map_err(|error| Refusal::invalid(error.field, &error.value, error.problem))?;
    if let Some(owner) = owner(draft, &owned.alias)?
        && owner != owned.property_id
    {
        let Alias { protocol, id, .. } = &owned.alias;
        let is_told =
            stored::property(draft, &owner)?.is_some_and(|named| access.allows(Action::ReadProperty, &named));
        let message = if is_told {
            format!("{protocol} id {id:?} belongs to property {owner}; remove it there first")
        } else {
            format!("{protocol} id {id:?} is taken; whoever runs this service can tell whether it is yours")
        };
        return Err(Refusal {
            field: Some("id".to_owned()),
            value: Some(id.clone()),
            ..Refusal::new(Code::AlreadyExists, message)
        });
    }
    draft.put(stored::alias_key(&owned.alias), stored::alias_value(owned));
    draft.put(stored::alias_of_key(owned), Vec::new());
    Ok(())
}

fn release(draft: &mut Draft<'_>, owned: &OwnedAlias) -> Result<(), Refusal> {
    if owner(draft, &owned.alias)?.as_ref() != Some(&owned.property_id) {
        let message = format!("property {} has no such alias", owned.property_id);
        return Err(Refusal::new(Code::NotFound, message));
    }
    draft.delete(stored::alias_key(&owned.alias));
    draft.delete(stored::alias_of_key(owned));
    Ok(())
}

fn owner(draft: &Draft<'_>, alias: &Alias) -> Result<Option<String>, Refusal> {
    let key = stored::alias_key(alias);
    let Some(value) = draft.value(&key)? else { return Ok(None) };
    let there = stored::read_alias(&key, &value).map_err(|error| unreadable(&error))?;
    Ok(Some(there.property_id))
}

/// The alias as clients of its protocol mean it.
fn canonical(owned: OwnedAlias) -> Result<OwnedAlias, Refusal> {
    let OwnedAlias { alias: Alias { protocol: name, id, hostname }, property_id } = owned;
    let Some(protocol) = Protocol::from_name(&name) else {
        let known = Protocol::ALL.map(Protocol::as_str).join(", ");
        return Err(Refusal::invalid("protocol", &name, format!("which is none of {known}")));
    };
    let hostname = hostname.to_ascii_lowercase();
    match (protocol.ids_are_ambiguous(), hostname.is_empty()) {
        (true, true) => {
            let problem =
                format!("but ids of {name} are not unique in the world; give the host name of the pages too");
            return Err(Refusal::invalid("hostname", "", problem));
        }
        (false, false) => {
            let problem = format!("but ids of {name} are unique; leave the host name out");
            return Err(Refusal::invalid("hostname", &hostname, problem));
        }
        _ => {}
    }
    Ok(OwnedAlias { alias: Alias { id: protocol.canonical_id(&id), protocol: name, hostname }, property_id })
}
