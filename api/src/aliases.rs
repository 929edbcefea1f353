//! Claims, gives up and lists aliases: what other products call a site. For the admin; gRPC and JSON both come through here.
//!
//! An alias is durable, and in force at connected edges, before it is answered. One that another property has is refused with the name of that property, for the admin
//! may see all of them.

use configuration::replica::Records as _;
use configuration::stored;
use http::HeaderMap;
use property::{Alias, OwnedAlias};
use protocol::Protocol;

use crate::authorize::{no_property, require_admin};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::metrics::Method;
use crate::properties::{PropertyCalls, attribution};
use crate::refuse::{Code, Refusal};

impl PropertyCalls {
    /// Claims an alias; gives it as it is looked up.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound` for the property, `AlreadyExists` when another one has it.
    pub async fn add_alias(&self, headers: &HeaderMap, wanted: OwnedAlias) -> Result<OwnedAlias, Refusal> {
        let outcome = self.change_alias(headers, wanted, "AddAlias", claim);
        let outcome = outcome.await;
        self.metrics.request(Method::AddAlias, &outcome);
        outcome
    }

    /// Gives an alias up.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotFound`.
    pub async fn remove_alias(&self, headers: &HeaderMap, unwanted: OwnedAlias) -> Result<(), Refusal> {
        let outcome = self.change_alias(headers, unwanted, "RemoveAlias", release);
        let outcome = outcome.await.map(drop);
        self.metrics.request(Method::RemoveAlias, &outcome);
        outcome
    }

    /// Aliases of a property; of all when the id is empty.
    ///
    /// # Errors
    /// Without the admin key.
    pub async fn list_aliases(
        &self,
        headers: &HeaderMap,
        property_id: &str,
    ) -> Result<Vec<OwnedAlias>, Refusal> {
        let outcome = self.list_aliases_uncounted(headers, property_id).await;
        self.metrics.request(Method::ListAliases, &outcome);
        outcome
    }

    async fn list_aliases_uncounted(
        &self,
        headers: &HeaderMap,
        property_id: &str,
    ) -> Result<Vec<OwnedAlias>, Refusal> {
        let _place = self.admission.enter()?;
        require_admin(&self.authorizer.caller(headers)?)?;
        let reader = self.history.read()?;
        let mut keys = Vec::new();
        let of_one = format!("{}{property_id}/", stored::ALIAS_OF);
        let prefix = if property_id.is_empty() { stored::ALIAS_OF } else { &of_one };
        let told = reader.for_each(prefix, &mut |key, _empty| {
            // PROPERTY/PROTOCOL/HOSTNAME/ID
            let of = key.strip_prefix(stored::ALIAS_OF).and_then(|rest| rest.split_once('/'));
            keys.extend(of.map(|(_property, alias)| format!("{}{alias}", stored::ALIAS)));
        });
        told.map_err(|error| unreadable(&error))?;
        let mut aliases = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(value) = reader.get(&key).map_err(|error| unreadable(&error))? {
                aliases.push(stored::read_alias(&key, &value).map_err(|error| unreadable(&error))?);
            }
        }
        aliases.sort_by(|a, b| (&a.property_id, &a.alias).cmp(&(&b.property_id, &b.alias)));
        Ok(aliases)
    }

    async fn change_alias(
        &self,
        headers: &HeaderMap,
        owned: OwnedAlias,
        method: &'static str,
        change: impl Fn(&mut Draft<'_>, &OwnedAlias) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<OwnedAlias, Refusal> {
        let _place = self.admission.enter()?;
        let caller = self.authorizer.caller(headers)?;
        require_admin(&caller)?;
        let owned = canonical(owned)?;
        let by = attribution(&caller, method);
        self.history.change(by, move |draft| change(draft, &owned).map(|()| owned.clone())).await
    }
}

fn claim(draft: &mut Draft<'_>, owned: &OwnedAlias) -> Result<(), Refusal> {
    if draft.value(&stored::property_key(&owned.property_id))?.is_none() {
        return Err(no_property(&owned.property_id));
    }
    owned.alias.check().map_err(|error| Refusal::invalid(error.field, &error.value, error.problem))?;
    if let Some(owner) = owner(draft, &owned.alias)?
        && owner != owned.property_id
    {
        let Alias { protocol, id, .. } = &owned.alias;
        let message = format!("{protocol} id {id:?} belongs to property {owner}; remove it there first");
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
