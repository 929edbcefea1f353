//! Creates, lists, shows and changes properties.
//!
//! A property and its keys are durable, and in force at connected edges, before they are answered. Keys are in the answer only, except in
//! development, where `keys_dir` keeps them for `meridian import`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use configuration::replica::Reader;
use configuration::stored::access::{self, Holder, Key, Reach, Scope};
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use jiff::Timestamp;
use property::key::{random_id, random_secret};
use property::{ApiSecret, CreateError, Created, KeyHash, NewProperty, PropertyUpdate, Quota, QuotaChange};
use prost::Message as _;
use proto::config::StoredClaim;
use serde::Serialize;

use crate::authorize::{Action, Caller, write_private};
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::metrics::Method;
use crate::page::{self, Page};
use crate::refuse::{Code, Refusal};
use crate::retention;

/// Seconds for which what was replaced is accepted, if nobody says.
const OVERLAP_USUAL_S: u32 = 86_400;

/// Most seconds for which what was replaced is accepted: 30 days.
const OVERLAP_MAX_S: u32 = 2_592_000;

/// Most API secrets of a property that are accepted at once: each is compared with every secret that comes.
const API_SECRETS_MAX: usize = 10;

/// What a new property answers, and what `keys_dir` keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// `p_…`
    pub property_id: String,
    /// `M-…`
    pub measurement_id: String,
    /// `sk_…`
    pub api_secret: String,
    /// `rk_…`
    pub report_key: String,
}

/// A new API secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedSecret {
    /// `sk_…`
    pub api_secret: String,
    /// Unix milliseconds: when those before it end at the latest.
    pub previous_expire_at_ms: u64,
}

impl ConfigCalls {
    /// Makes a property in an organisation; an empty id means the caller's, and with the admin key the operator's.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`.
    pub async fn create_property(
        &self,
        headers: &HeaderMap,
        mut new: NewProperty,
        organisation_id: String,
        retention_days: Option<u32>,
    ) -> Result<Keys, Refusal> {
        let (wanted, usual) = (new.quota, self.usual_quota);
        let quota = wanted.on(usual);
        new.quota =
            QuotaChange { daily_hits: Some(quota.daily_hits), hits_per_second: Some(quota.hits_per_second) };
        let retention = self.retention.clone();
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let organisation_id = access.organisation_id(draft, Action::CreateProperty, &organisation_id)?;
            refuse_quota(access, (&organisation_id, None), wanted, usual)?;
            let retention_days = retention.of_new(retention_days)?;
            create(draft, &new, &organisation_id, retention_days, access.now_ms)
        };
        let keys = self.change(Method::CreateProperty, headers, make).await?;
        if let Some(dir) = self.keys_dir.clone() {
            let kept = keys.clone();
            let keeping = tokio::task::spawn_blocking(move || keep(&dir, &kept)).await;
            // The property exists and its keys are in the answer: a convenience that failed is no refusal.
            if let Err(error) = keeping.map_err(std::io::Error::other).and_then(|kept| kept) {
                tracing::error!(%error, "the keys of the new property were not kept");
            }
        }
        tracing::info!(property_id = keys.property_id, "property created");
        Ok(keys)
    }

    /// The properties that the caller may see, by id, with the token of the next page.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn list_properties(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        page: Page,
    ) -> Result<(Vec<NamedProperty>, String), Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| list(reader, access, &organisation_id, &page);
        self.read(Method::ListProperties, headers, read).await
    }

    /// One property.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn property(&self, headers: &HeaderMap, property_id: String) -> Result<NamedProperty, Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            access.property(reader, Action::ReadProperty, &property_id)
        };
        self.read(Method::GetProperty, headers, read).await
    }

    /// Changes a property; `retention_days` takes an owner.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn update_property(
        &self,
        headers: &HeaderMap,
        property_id: String,
        update: PropertyUpdate,
        retention_days: Option<u32>,
    ) -> Result<NamedProperty, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let before = access.property(draft, Action::ChangeProperty, &property_id)?;
            let place = (before.organisation_id.as_str(), Some(property_id.as_str()));
            refuse_quota(access, place, update.quota, before.property.quota)?;
            let (property, name) =
                before.property.updated(&before.name, update.clone(), access.now_ms).map_err(not_created)?;
            let retention_days = retention::updated(access, &before, retention_days)?;
            let organisation_id = before.organisation_id.clone();
            let after = NamedProperty { property, name, organisation_id, retention_days };
            put_property(draft, &before, &after);
            Ok(after)
        };
        self.change(Method::UpdateProperty, headers, make).await
    }

    /// Makes a new API secret.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn rotate_api_secret(
        &self,
        headers: &HeaderMap,
        property_id: String,
        overlap_s: Option<u32>,
    ) -> Result<RotatedSecret, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let before = access.property(draft, Action::RotateApiSecret, &property_id)?;
            let ends_ms = overlap_end(overlap_s, access.now_ms)?;
            let api_secret = random_secret("sk_").map_err(|error| no_random(&error))?;
            let mut secrets: Vec<ApiSecret> = before.property.api_secrets.to_vec();
            for secret in &mut secrets {
                secret.expires_at_ms = sooner(secret.expires_at_ms, ends_ms);
            }
            secrets.retain(|secret| secret.expires_at_ms > access.now_ms);
            if secrets.len() >= API_SECRETS_MAX {
                let problem = format!(
                    "but the property has {API_SECRETS_MAX} secrets that are still accepted; give 0 to end them now"
                );
                let given = overlap_s.unwrap_or(OVERLAP_USUAL_S).to_string();
                return Err(Refusal::invalid("overlap_s", &given, problem));
            }
            secrets.push(ApiSecret { hash: KeyHash::of(&api_secret), expires_at_ms: 0 });
            let mut after = before.clone();
            after.property.api_secrets = Arc::from(secrets);
            put_property(draft, &before, &after);
            Ok(RotatedSecret { api_secret, previous_expire_at_ms: ends_ms })
        };
        self.change(Method::RotateApiSecret, headers, make).await
    }
}

/// Refuses another quota to who may not set it: it is the operator's, who has to serve the hits.
fn refuse_quota(
    access: &Access,
    (organisation_id, property_id): (&str, Option<&str>),
    wanted: QuotaChange,
    before: Quota,
) -> Result<(), Refusal> {
    match wanted.first_difference(before) {
        Some((field, value)) if !access.allows_at(Action::SetQuota, organisation_id, property_id) => {
            Err(access.denied(Action::SetQuota, field, &value))
        }
        _ => Ok(()),
    }
}

/// Writes a property that is there, with the rules that are not in force any more.
pub(crate) fn put_property(draft: &mut Draft<'_>, before: &NamedProperty, after: &NamedProperty) {
    let property_id = &after.property.property_id;
    let replaced = before.property.current_rules();
    if after.property.current_rules() != replaced {
        draft.put(stored::rules_key(property_id, replaced.version), stored::rules_value(replaced));
    }
    draft.put(stored::property_key(property_id), stored::property_value(after));
}

/// When what is replaced now ends, unix milliseconds.
pub(crate) fn overlap_end(overlap_s: Option<u32>, now_ms: u64) -> Result<u64, Refusal> {
    let overlap_s = overlap_s.unwrap_or(OVERLAP_USUAL_S);
    if overlap_s > OVERLAP_MAX_S {
        let problem = format!("which is more than 30 days; give 0 to {OVERLAP_MAX_S} seconds");
        return Err(Refusal::invalid("overlap_s", &overlap_s.to_string(), problem));
    }
    Ok(now_ms.saturating_add(u64::from(overlap_s) * 1_000))
}

/// The sooner of two ends, of which the first may be 0 for never.
pub(crate) fn sooner(expires_at_ms: u64, ends_ms: u64) -> u64 {
    if expires_at_ms == 0 { ends_ms } else { expires_at_ms.min(ends_ms) }
}

/// A time as callers read it; 0: none.
pub(crate) fn shown_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().filter(|ms| *ms != 0);
    time.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|time| time.to_string()).unwrap_or_default()
}

/// Draws until nobody has the ids: 60 and 50 random bits, so once is as good as always enough.
pub(crate) fn create(
    draft: &mut Draft<'_>,
    new: &NewProperty,
    organisation_id: &str,
    retention_days: u32,
    now_ms: u64,
) -> Result<Keys, Refusal> {
    loop {
        let Created { property, name, api_secret, report_key } =
            new.clone().create(now_ms).map_err(not_created)?;
        let property_id = property.property_id.clone();
        let keys = Keys {
            property_id: property_id.clone(),
            measurement_id: property.measurement_id.clone(),
            api_secret,
            report_key,
        };
        let claim = stored::measurement_id_key(&property.measurement_id);
        let key = stored::property_key(&property_id);
        if draft.value(&claim)?.is_some() || draft.value(&key)?.is_some() {
            continue;
        }
        draft.put(claim, StoredClaim { property_id: property_id.clone() }.encode_to_vec());
        let report_key = Key {
            key_id: random_id("k_").map_err(|error| no_random(&error))?,
            organisation_id: organisation_id.to_owned(),
            name: "made with the property".to_owned(),
            holder: Holder::Reports {
                scopes: vec![Scope::Reports],
                reach: Reach::These(vec![property_id.clone()]),
            },
            created_at_ms: now_ms,
            expires_at_ms: 0,
        };
        for (key, value) in access::put_key(&report_key, KeyHash::of(&keys.report_key), None) {
            draft.put(key, value);
        }
        draft.put(stored::property_of_key(organisation_id, &property_id), Vec::new());
        let organisation_id = organisation_id.to_owned();
        let named = NamedProperty { property, name, organisation_id, retention_days };
        draft.put(key, stored::property_value(&named));
        return Ok(keys);
    }
}

fn not_created(error: CreateError) -> Refusal {
    match error {
        CreateError::Invalid { field, value, problem } => Refusal::invalid(field, &value, problem),
        CreateError::Random(_) => no_random(&error),
    }
}

/// What cannot be drawn cannot be made.
pub(crate) fn no_random(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "no random bytes for ids and keys");
    Refusal::new(Code::Internal, "ids and keys could not be drawn; the log of the api says why")
}

/// The properties that the caller may see, by id, with the token of the next page.
pub(crate) fn list(
    reader: &Reader<'_>,
    access: &Access,
    organisation_id: &str,
    page: &Page,
) -> Result<(Vec<NamedProperty>, String), Refusal> {
    access.somewhere(Action::ReadProperty)?;
    let (ids, next) = ids(reader, access, organisation_id, page)?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let named = stored::property(reader, &id)?;
        all.extend(named.filter(|named| access.allows(Action::ReadProperty, named)));
    }
    Ok((all, next))
}

/// Ids among which the caller's properties are.
fn ids(
    reader: &Reader<'_>,
    access: &Access,
    organisation_id: &str,
    page: &Page,
) -> Result<(Vec<String>, String), Refusal> {
    let of = match access.own_organisation() {
        Some(own) if organisation_id.is_empty() || organisation_id == own => Some(own.to_owned()),
        None if organisation_id.is_empty() => None,
        _ => Some(access.organisation(reader, Action::ReadOrganisation, organisation_id)?.organisation_id),
    };
    if let Caller::Reports { reach: Reach::These(reached), .. } = &access.caller {
        let mut ids: Vec<_> = reached.iter().filter(|id| **id > page.after).cloned().collect();
        ids.sort_unstable();
        return Ok(page::cut(ids, page.limit, Clone::clone));
    }
    let prefix = match of {
        Some(organisation_id) => stored::property_of_key(&organisation_id, ""),
        None => stored::PROPERTY.to_owned(),
    };
    let (found, next) = page::records(reader, &prefix, page)?;
    Ok((found.into_iter().map(|(id, _value)| id).collect(), next))
}

fn keep(dir: &Path, keys: &Keys) -> std::io::Result<()> {
    let path: PathBuf = dir.join(format!("{}.json", keys.property_id));
    write_private(&path, &serde_json::to_vec_pretty(keys)?)?;
    durable::sync_name(&path)
}
