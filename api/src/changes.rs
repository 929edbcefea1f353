//! The audit: who changed what, newest first, out of the log of the configuration.
//!
//! In: who asks, and the filters. Out: changes with what every record was before and after, field by field, without secrets and hashes.
//! For one organisation its own index is read ([`crate::history`] writes it with every change), and of the log only the versions that the
//! page shows; for all of them, which takes the admin key, the log itself, version by version.

use configuration::replica::Reader;
use configuration::stored::access::AUDIT;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;
use proto::config::{Change, LogEntry, StoredAudit};

use crate::authorize::{Action, Caller};
use crate::calls::{Access, ConfigCalls};
use crate::history::unreadable;
use crate::metrics::Method;
use crate::page::{Page, bad_token, cut};
use crate::refuse::Refusal;

mod fields;

pub use fields::{RecordChange, ValueChange};

/// Usual and most changes of a page.
const PAGE: (u32, u32) = (50, 100);

/// Versions that are read at once.
const AT_ONCE: usize = 8;

/// Most entries of the index that are looked at for one page, so that a rare filter answers in time: the page has fewer then.
const LOOKED_AT_MAX: usize = 10_000;

/// Which changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeFilter {
    /// In this organisation; empty: in the caller's, with the admin key in all.
    pub organisation_id: String,
    /// About this property.
    pub property_id: String,
    /// Made by this member.
    pub member_id: String,
    /// At most so many; 0: the usual number.
    pub page_size: u32,
    /// Where the page before ended.
    pub page_token: String,
}

/// What one call changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    /// The version it is in.
    pub version: u64,
    /// The change as it is in the log.
    pub change: Change,
    /// What people may see of it.
    pub records: Vec<RecordChange>,
}

/// The `nth` change of a version.
type Place = (u64, usize);

impl ConfigCalls {
    /// Changes, newest first, with the token of the next page.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`, `Unavailable`; `NotFound` for the admin.
    pub async fn changes(
        &self,
        headers: &HeaderMap,
        filter: ChangeFilter,
    ) -> Result<(Vec<Audited>, String), Refusal> {
        let outcome = self.changes_uncounted(headers, filter).await;
        self.metrics.request(Method::ListChanges, &outcome);
        outcome
    }

    async fn changes_uncounted(
        &self,
        headers: &HeaderMap,
        filter: ChangeFilter,
    ) -> Result<(Vec<Audited>, String), Refusal> {
        let page = Page::new(filter.page_size, &filter.page_token, PAGE)?;
        let (after, limit) = (place(&page.after)?, page.limit);
        let find = move |reader: &Reader<'_>, access: &Access| match organisation(reader, access, &filter)? {
            Some(organisation_id) => {
                Ok(Found::Places(of_one(reader, &organisation_id, &filter, (after, limit))?))
            }
            None => {
                let newest = reader.position().map_err(|error| unreadable(&error))?.version;
                Ok(Found::From(newest))
            }
        };
        match self.read_uncounted(headers, find).await? {
            Found::Places((places, next)) => Ok((self.at(places).await?, next)),
            Found::From(newest) => {
                let end = (newest + 1, 0);
                self.of_all(after.map_or(end, |after| after.min(end)), limit).await
            }
        }
    }

    /// The changes at these places.
    async fn at(&self, places: Vec<Place>) -> Result<Vec<Audited>, Refusal> {
        let read = |(version, nth): Place| async move {
            let entry = self.history.entry(version).await?;
            Ok::<_, Refusal>(audited(&entry, (version, nth)))
        };
        let found: Vec<_> = stream::iter(places).map(read).buffered(AT_ONCE).try_collect().await?;
        found.into_iter().flatten().collect()
    }

    /// The changes before this place, whomever they are about.
    async fn of_all(&self, before: Place, limit: usize) -> Result<(Vec<Audited>, String), Refusal> {
        let versions = (1..=before.0).rev().skip_while(|version| (*version, 0) >= before);
        let mut entries = stream::iter(versions)
            .map(|version| async move { Ok::<_, Refusal>((version, self.history.entry(version).await?)) })
            .buffered(AT_ONCE);
        let mut found = Vec::new();
        while found.len() <= limit
            && let Some((version, entry)) = entries.try_next().await?
        {
            let places = (0..entry.changes.len()).rev().map(|nth| (version, nth));
            for place in places.filter(|place| *place < before) {
                found.extend(
                    audited(&entry, place).map(|change| change.map(|change| (place, change))).transpose()?,
                );
            }
        }
        let (found, next) = cut(found, limit, |(place, _)| token(*place));
        Ok((found.into_iter().map(|(_, change)| change).collect(), next))
    }
}

enum Found {
    /// These, and the token of the next page.
    Places((Vec<Place>, String)),
    /// All from this version down.
    From(u64),
}

/// The organisation whose index is read; `None`: the whole log.
fn organisation(
    reader: &Reader<'_>,
    access: &Access,
    filter: &ChangeFilter,
) -> Result<Option<String>, Refusal> {
    let ChangeFilter { organisation_id, property_id, member_id, .. } = filter;
    if access.caller != Caller::Admin || !organisation_id.is_empty() {
        let organisation = access.organisation(reader, Action::ReadAudit, organisation_id)?;
        return Ok(Some(organisation.organisation_id));
    }
    if !property_id.is_empty() {
        return Ok(Some(access.property(reader, Action::ReadAudit, property_id)?.organisation_id));
    }
    if !member_id.is_empty() {
        let problem = "but it is needed with member_id: name the member's organisation, \"o_…\"";
        return Err(Refusal::invalid("organisation_id", "", problem));
    }
    Ok(None)
}

/// A page of an organisation's index.
fn of_one(
    reader: &Reader<'_>,
    organisation_id: &str,
    filter: &ChangeFilter,
    (after, limit): (Option<Place>, usize),
) -> Result<(Vec<Place>, String), Refusal> {
    let prefix = format!("{AUDIT}{organisation_id}/");
    let is_wanted = |audit: &StoredAudit| {
        (filter.member_id.is_empty() || audit.member_id == filter.member_id)
            && (filter.property_id.is_empty() || audit.property_ids.contains(&filter.property_id))
    };
    let mut before = after.map(|after| format!("{prefix}{}", token(after))).unwrap_or_default();
    let (mut places, mut looked_at) = (Vec::new(), 0);
    while places.len() <= limit && looked_at < LOOKED_AT_MAX {
        let step = limit + 1;
        let found = reader.page_back(&prefix, &before, step).map_err(|error| unreadable(&error))?;
        looked_at += found.len();
        let is_last = found.len() < step;
        for (key, value) in found {
            let audit: StoredAudit =
                configuration::stored::decode(&key, &value).map_err(|error| unreadable(&error))?;
            places.extend(key.strip_prefix(&prefix).and_then(parse).filter(|_| is_wanted(&audit)));
            before = key;
        }
        if is_last {
            return Ok(cut(places, limit, |place| token(*place)));
        }
    }
    if places.len() > limit {
        return Ok(cut(places, limit, |place| token(*place)));
    }
    let next = before.strip_prefix(&prefix).unwrap_or_default().to_owned();
    Ok((places, next))
}

/// What people may see of a change; `None`: the version has no such one.
fn audited(entry: &LogEntry, (version, nth): Place) -> Option<Result<Audited, Refusal>> {
    let change = entry.changes.get(nth)?.clone();
    let records = fields::records(&change.writes).map_err(|error| unreadable(&error));
    Some(records.map(|records| Audited { version, change, records }))
}

/// As in the keys of the index.
fn token((version, nth): Place) -> String {
    format!("{version:020}/{nth:04}")
}

fn place(page_token: &str) -> Result<Option<Place>, Refusal> {
    match page_token {
        "" => Ok(None),
        text => parse(text).map(Some).ok_or_else(|| bad_token(text)),
    }
}

fn parse(text: &str) -> Option<Place> {
    let (version, nth) = text.split_once('/')?;
    Some((version.parse().ok()?, nth.parse().ok()?))
}
