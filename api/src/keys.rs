//! Makes, lists, revokes and replaces keys: report keys and members' keys.
//!
//! In: who calls and what for. Out: what a key is, and when it is made the key itself, once. Only its SHA-256 is kept. Invariant: a key
//! never reaches beyond its own organisation, because the properties it names are checked when it is made and again when it is used.

use configuration::replica::{Reader, Records as _};
use configuration::stored::access::{self, Holder, KEY_OF, Key, Reach, Scope};
use http::HeaderMap;
use jiff::Timestamp;
use property::KeyHash;
use property::key::{random_id, random_secret};

use crate::authorize::{Action, Caller};
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::members::no_member;
use crate::metrics::Method;
use crate::organisations::named;
use crate::page::{self, Page};
use crate::properties::{no_random, overlap_end, sooner};
use crate::refuse::{Code, Refusal};

/// Most keys of one organisation; the operator's own are not counted.
const KEYS_MAX: usize = 10_000;

/// Most properties that a key names.
const PROPERTIES_MAX: usize = 100;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewKey {
    /// `o_…`; empty: the caller's, with the admin key the operator's.
    pub organisation_id: String,
    /// Display name.
    pub name: String,
    /// `u_…`: this member's; empty: a report key.
    pub member_id: String,
    /// Of a report key; empty: `reports`.
    pub scopes: Vec<String>,
    /// Of a report key: the properties it reaches.
    pub property_ids: Vec<String>,
    /// Of a report key: it reaches every property of the organisation.
    pub all_properties: bool,
    /// RFC 3339; empty: never.
    pub expires_at: String,
}

/// A key that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// What the new one is.
    pub key: Key,
    /// The new one.
    pub secret: String,
    /// What became of the one before.
    pub previous: Key,
}

impl ConfigCalls {
    /// Makes a key; gives what it is, and the key.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for a member, and for the admin.
    pub async fn create_key(&self, headers: &HeaderMap, new: NewKey) -> Result<(Key, String), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let organisation_id = access.organisation_id(draft, Action::ChangeKeys, &new.organisation_id)?;
            named("name", &new.name)?;
            within_limit(draft, &organisation_id)?;
            let expires_at_ms = expiry(&new.expires_at, access.now_ms)?;
            let holder = holder(draft, access, &organisation_id, &new)?;
            let key = Key {
                key_id: random_id("k_").map_err(|error| no_random(&error))?,
                organisation_id,
                name: new.name.clone(),
                holder,
                created_at_ms: access.now_ms,
                expires_at_ms,
            };
            let secret = draw(&key)?;
            put(draft, &key, KeyHash::of(&secret))?;
            Ok((key, secret))
        };
        self.change(Method::CreateKey, headers, make).await
    }

    /// The keys of an organisation, by id, with the token of the next page.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn list_keys(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        page: Page,
    ) -> Result<(Vec<Key>, String), Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            let organisation_id = access.organisation_id(reader, Action::ReadKeys, &organisation_id)?;
            let (found, next) = page::records(reader, &format!("{KEY_OF}{organisation_id}/"), &page)?;
            let mut keys = Vec::with_capacity(found.len());
            for (key_id, _empty) in found {
                keys.extend(access::key_by_id(reader, &key_id)?.map(|(_hash, key)| key));
            }
            Ok((keys, next))
        };
        self.read(Method::ListKeys, headers, read).await
    }

    /// Ends a key at once.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn revoke_key(&self, headers: &HeaderMap, key_id: String) -> Result<(), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let (hash, key) = find(draft, access, &key_id)?;
            if let Holder::Member(member_id) = &key.holder
                && let Some(mut member) = access::member(draft, &key.organisation_id, member_id)?
            {
                member.keys.retain(|secret| secret.hash != hash);
                let of = access::member_key(&member.organisation_id, &member.member_id);
                draft.put(of, access::member_value(&member));
            }
            access::delete_key(&key, &hash).into_iter().for_each(|key| draft.delete(key));
            Ok(())
        };
        self.change(Method::RevokeKey, headers, make).await
    }

    /// Makes another key that may do the same, and ends the one before.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn rotate_key(
        &self,
        headers: &HeaderMap,
        key_id: String,
        overlap_s: Option<u32>,
    ) -> Result<Rotated, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let (hash, before) = find(draft, access, &key_id)?;
            let ends_ms = overlap_end(overlap_s, access.now_ms)?;
            if before.is_expired(access.now_ms) {
                let problem = "which has expired; make a new key";
                return Err(Refusal::invalid("key_id", &key_id, problem));
            }
            within_limit(draft, &before.organisation_id)?;
            let key = Key {
                key_id: random_id("k_").map_err(|error| no_random(&error))?,
                created_at_ms: access.now_ms,
                ..before.clone()
            };
            let expires_at_ms = sooner(before.expires_at_ms, ends_ms);
            let previous = Key { expires_at_ms, ..before };
            let secret = draw(&key)?;
            put(draft, &previous, hash)?;
            put(draft, &key, KeyHash::of(&secret))?;
            Ok(Rotated { key, secret, previous })
        };
        self.change(Method::RotateKey, headers, make).await
    }
}

/// Of a report key `rk_…`, of a member's `mk_…`.
fn draw(key: &Key) -> Result<String, Refusal> {
    let prefix = if matches!(key.holder, Holder::Member(_)) { "mk_" } else { "rk_" };
    random_secret(prefix).map_err(|error| no_random(&error))
}

fn put(draft: &mut Draft<'_>, key: &Key, hash: KeyHash) -> Result<(), Refusal> {
    let member = match &key.holder {
        Holder::Member(member_id) => access::member(draft, &key.organisation_id, member_id)?,
        Holder::Reports { .. } => None,
    };
    access::put_key(key, hash, member).into_iter().for_each(|(key, value)| draft.put(key, value));
    Ok(())
}

fn find(draft: &Draft<'_>, access: &Access, key_id: &str) -> Result<(KeyHash, Key), Refusal> {
    match access::key_by_id(draft, key_id)? {
        Some((hash, key)) if access.allows_in(Action::ChangeKeys, &key.organisation_id) => Ok((hash, key)),
        None if access.caller == Caller::Admin => {
            let problem = "which does not exist; `meridian key list` shows those that do";
            Err(Refusal { code: Code::NotFound, ..Refusal::invalid("key_id", key_id, problem) })
        }
        Some(_) | None => Err(access.denied(Action::ChangeKeys, "key_id", key_id)),
    }
}

fn within_limit(draft: &Draft<'_>, organisation_id: &str) -> Result<(), Refusal> {
    if organisation_id.is_empty() {
        return Ok(());
    }
    let mut count = 0;
    let told = draft.for_each(&format!("{KEY_OF}{organisation_id}/"), &mut |_key, _empty| count += 1);
    told.map_err(|error| unreadable(&error))?;
    if count < KEYS_MAX {
        return Ok(());
    }
    let problem = format!("which has {KEYS_MAX} keys, the most there can be; revoke those that nobody uses");
    Err(Refusal::invalid("organisation_id", organisation_id, problem))
}

/// Unix milliseconds; 0: never.
fn expiry(expires_at: &str, now_ms: u64) -> Result<u64, Refusal> {
    if expires_at.is_empty() {
        return Ok(0);
    }
    let refused = |problem| Refusal::invalid("expires_at", expires_at, problem);
    let time: Timestamp = expires_at
        .parse()
        .map_err(|_| refused("which is not a time; write it as in 2026-01-31T12:00:00Z"))?;
    let ms = u64::try_from(time.as_millisecond()).unwrap_or(0);
    if ms > now_ms { Ok(ms) } else { Err(refused("which is over; choose a later time, or leave it out")) }
}

fn holder(
    draft: &Draft<'_>,
    access: &Access,
    organisation_id: &str,
    new: &NewKey,
) -> Result<Holder, Refusal> {
    let NewKey { member_id, scopes, property_ids, all_properties, .. } = new;
    if !member_id.is_empty() {
        if !scopes.is_empty() || !property_ids.is_empty() || *all_properties {
            let problem = "but a member's key may do what the member may; leave scopes and properties out";
            return Err(Refusal::invalid("member_id", member_id, problem));
        }
        let member = access::member(draft, organisation_id, member_id)?;
        return member.map(|member| Holder::Member(member.member_id)).ok_or_else(|| no_member(member_id));
    }
    let mut wanted = scopes.iter().enumerate().map(scope).collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        wanted.push(Scope::Reports);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let reach = reach(draft, access, organisation_id, property_ids, *all_properties)?;
    Ok(Holder::Reports { scopes: wanted, reach })
}

fn scope((index, name): (usize, &String)) -> Result<Scope, Refusal> {
    let problem = "which is none of reports, config.read";
    Scope::from_name(name).ok_or_else(|| Refusal::invalid(format!("scopes[{index}]"), name, problem))
}

fn reach(
    draft: &Draft<'_>,
    access: &Access,
    organisation_id: &str,
    property_ids: &[String],
    all_properties: bool,
) -> Result<Reach, Refusal> {
    let refused = |problem: &str| Refusal::invalid("property_ids", &property_ids.join(","), problem);
    match (all_properties, property_ids) {
        (true, []) if organisation_id.is_empty() => Err(Refusal::invalid(
            "all_properties",
            "true",
            "but the operator has no organisation; name the properties, or an organisation",
        )),
        (true, []) => Ok(Reach::All),
        (true, _) => Err(refused("but all_properties is set too; give one of them")),
        (false, []) => {
            Err(refused("but a report key reaches something; name properties, or set all_properties"))
        }
        (false, ids) if ids.len() > PROPERTIES_MAX => Err(refused(&format!(
            "which are more than {PROPERTIES_MAX}; use all_properties, or several keys"
        ))),
        (false, ids) => {
            for id in ids {
                let named = access.property(draft, Action::ReadProperty, id)?;
                if named.organisation_id != organisation_id {
                    let problem = "which does not belong to the key's organisation; name one that does";
                    return Err(Refusal::invalid("property_ids", id, problem));
                }
            }
            Ok(Reach::These(ids.to_vec()))
        }
    }
}
