//! Erasures as callers ask for them and see them: of a property, of visitors of a property, of what is past its retention.
//!
//! In: ids, or what a visitor is told by. Out: a record `erasure/e_…` of the configuration, which edges get, and a request in the store,
//! which loaders carry out. The record is the truth: `keep` makes a request of each, so a crash between the two loses nothing. Retention
//! has requests alone, for edges hold nothing that is old. Invariant: client ids and traits are in no record, request or log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use configuration::Salts;
use configuration::replica::{Reader, Records as _};
use configuration::stored::erasures::{ERASURE, Erasure, erasure_key, erasure_value, read_erasure};
use erasure::{JobError, JobId, Jobs, Progress, Request, What};
use http::HeaderMap;
use object_store::ObjectStore;

use crate::authorize::{Action, Caller};
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::metrics::Method;
use crate::page::Page;
use crate::properties::no_random;
use crate::refuse::{Code, Refusal};

mod visitors;
mod delete;
mod past;
mod keep;

pub(crate) use self::keep::Keeper;
pub use self::past::PastRetention;
pub use self::visitors::{Traits, Wanted};

/// What erasures need beside the configuration.
#[derive(Clone)]
pub struct Erasing {
    /// Requests and progress.
    jobs: Jobs,
    /// What ids of visitors without a client id are keyed by.
    salts: Salts,
    /// Asked for what is past its retention.
    warehouse: Client,
}

/// A job and how far it is.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was asked for.
    pub request: Request,
    /// By shard; none: no loader has seen it.
    pub progress: Vec<Progress>,
}

impl Erasing {
    /// Over the store that loaders have, too.
    pub fn new(store: Arc<dyn ObjectStore>, timeout: Duration, salts: Salts, warehouse: Client) -> Self {
        Self { jobs: Jobs::new(store, timeout), salts, warehouse }
    }

    /// Makes a request of a record. What fails is done by the next look of `keep`.
    async fn start(&self, erasure: &Erasure) {
        if let Err(error) = self.ask(erasure).await {
            tracing::warn!(%error, job = erasure.job, "the erasure waits for the store");
        }
    }

    async fn ask(&self, erasure: &Erasure) -> Result<(), JobError> {
        self.jobs.create(&request_of(erasure)?).await.map(drop)
    }

    async fn seen(&self, request: Request) -> Result<Seen, Refusal> {
        let progress = self.jobs.progress(&request.job).await.map_err(|error| unavailable(&error))?;
        Ok(Seen { request, progress })
    }
}

impl ConfigCalls {
    /// Deletes a property, and has all that was counted of it erased.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn delete_property(&self, headers: &HeaderMap, property_id: String) -> Result<Seen, Refusal> {
        let random = random()?;
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let named = access.property(draft, Action::DeleteProperty, &property_id)?;
            delete::property(draft, &named)?;
            let job = JobId::new(access.now_ms, random);
            Ok(put(draft, access, &job, (&property_id, &named.organisation_id), Vec::new()))
        };
        let erasure = self.change(Method::DeleteProperty, headers, make).await?;
        tracing::info!(property_id = erasure.property_id, job = erasure.job, "property deleted");
        self.started(erasure).await
    }

    /// Has visitors of a property erased.
    ///
    /// # Errors
    /// `InvalidArgument` by field, also where a salt is gone; `PermissionDenied`; `NotFound` for the admin.
    pub async fn erase_visitors(
        &self,
        headers: &HeaderMap,
        property_id: String,
        wanted: Wanted,
    ) -> Result<Seen, Refusal> {
        let (random, salts) = (random()?, self.erasing.salts.held());
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let named = access.property(draft, Action::EraseVisitors, &property_id)?;
            let ids = wanted.ids(&named.property, &salts, access.now_ms)?;
            let job = JobId::new(access.now_ms, random);
            Ok(put(draft, access, &job, (&property_id, &named.organisation_id), ids))
        };
        let erasure = self.change(Method::EraseVisitors, headers, make).await?;
        self.started(erasure).await
    }

    /// The erasures that the caller may see, newest first, with the token of the next page.
    ///
    /// # Errors
    /// `PermissionDenied`, `Unavailable`.
    pub async fn erasures(
        &self,
        headers: &HeaderMap,
        property_id: String,
        page: Page,
    ) -> Result<(Vec<Seen>, String), Refusal> {
        let wanted = property_id.clone();
        let read = move |reader: &Reader<'_>, access: &Access| {
            access.somewhere(Action::EraseVisitors)?;
            let mut known = records(reader)?;
            known.retain(|_, erasure| {
                access.allows_in(Action::EraseVisitors, &erasure.organisation_id)
                    && (wanted.is_empty() || erasure.property_id == wanted)
            });
            Ok((known, access.caller == Caller::Admin))
        };
        let (known, is_admin) = self.read(Method::ListErasures, headers, read).await?;
        let mut requests = BTreeMap::new();
        for erasure in known.values() {
            let request = request_of(erasure).map_err(|error| unavailable(&error))?;
            requests.insert(request.job.to_string(), Some(request));
        }
        if is_admin {
            let all = self.erasing.jobs.all().await.map_err(|error| unavailable(&error))?;
            for job in all {
                requests.entry(job.to_string()).or_insert(None);
            }
        }
        self.page(requests, &property_id, &page).await
    }

    /// One erasure.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin; `Unavailable`.
    pub async fn erasure(&self, headers: &HeaderMap, job: String) -> Result<Seen, Refusal> {
        let wanted = job.clone();
        let read = move |reader: &Reader<'_>, access: &Access| {
            let key = erasure_key(&wanted);
            let value = reader.get(&key).map_err(|error| unreadable(&error))?;
            let found = value.map(|value| read_erasure(&key, &value)).transpose();
            match found.map_err(|error| unreadable(&error))? {
                Some(found) if access.allows_in(Action::EraseVisitors, &found.organisation_id) => {
                    Ok(Some(found))
                }
                None if access.caller == Caller::Admin => Ok(None),
                Some(_) | None => Err(access.denied(Action::EraseVisitors, "job", &wanted)),
            }
        };
        let found = self.read(Method::GetErasure, headers, read).await?;
        let request = match &found {
            Some(found) => Some(request_of(found).map_err(|error| unavailable(&error))?),
            None => self.stored(&job).await?,
        };
        let request = request.ok_or_else(|| {
            let problem = "which does not exist; `meridian erase list` shows those that do";
            Refusal { code: Code::NotFound, ..Refusal::invalid("job", &job, problem) }
        })?;
        self.erasing.seen(request).await
    }

    /// Has erased what is past its retention; with `dry_run` only tells.
    ///
    /// # Errors
    /// `PermissionDenied`, `Unavailable`.
    pub async fn run_retention(
        &self,
        headers: &HeaderMap,
        dry_run: bool,
    ) -> Result<(Vec<String>, Vec<PastRetention>), Refusal> {
        let read = |reader: &Reader<'_>, access: &Access| {
            access.operator(Action::RunRetention)?;
            past::terms(reader, access.now_ms)
        };
        let terms = self.read(Method::RunRetention, headers, read).await?;
        let found = past::find(&self.erasing.warehouse, &terms).await?;
        if dry_run {
            return Ok((Vec::new(), found));
        }
        let now_ms = self.clock.now_ms();
        let jobs = past::ask(&self.erasing.jobs, &found, (now_ms, now_ms), random()?).await;
        Ok((jobs.map_err(|error| unavailable(&error))?, found))
    }

    async fn started(&self, erasure: Erasure) -> Result<Seen, Refusal> {
        self.erasing.start(&erasure).await;
        let request = request_of(&erasure).map_err(|error| unavailable(&error))?;
        Ok(Seen { request, progress: Vec::new() })
    }

    async fn stored(&self, job: &str) -> Result<Option<Request>, Refusal> {
        let Ok(job) = job.parse::<JobId>() else { return Ok(None) };
        self.erasing.jobs.request(&job).await.map_err(|error| unavailable(&error))
    }

    /// A page of jobs; what is not known of one is read.
    async fn page(
        &self,
        requests: BTreeMap<String, Option<Request>>,
        property_id: &str,
        page: &Page,
    ) -> Result<(Vec<Seen>, String), Refusal> {
        let mut seen: Vec<Seen> = Vec::new();
        let before = |job: &String| page.after.is_empty() || *job < page.after;
        for (job, request) in requests.into_iter().rev().filter(|(job, _)| before(job)) {
            let request = match request {
                Some(request) => Some(request),
                None => self.stored(&job).await?,
            };
            let Some(request) = request.filter(|request| is_about(request, property_id)) else { continue };
            if seen.len() == page.limit {
                let last = seen.last().map(|last| last.request.job.to_string());
                return Ok((seen, last.unwrap_or_default()));
            }
            seen.push(self.erasing.seen(request).await?);
        }
        Ok((seen, String::new()))
    }
}

/// The erasures that the configuration knows, by job.
fn records(reader: &Reader<'_>) -> Result<BTreeMap<String, Erasure>, Refusal> {
    let (mut found, mut wrong) = (BTreeMap::new(), None);
    let told = reader.for_each(ERASURE, &mut |key, value| match read_erasure(key, value) {
        Ok(erasure) => drop(found.insert(erasure.job.clone(), erasure)),
        Err(error) => wrong = Some(error),
    });
    told.map_err(|error| unreadable(&error))?;
    wrong.map_or(Ok(found), |error| Err(unreadable(&error)))
}

fn put(
    draft: &mut Draft<'_>,
    access: &Access,
    job: &JobId,
    (property_id, organisation_id): (&str, &str),
    visitor_ids: Vec<u64>,
) -> Erasure {
    let erasure = Erasure {
        job: job.to_string(),
        property_id: property_id.to_owned(),
        visitor_ids,
        requested_at_ms: access.now_ms,
        organisation_id: organisation_id.to_owned(),
    };
    draft.put(erasure_key(&erasure.job), erasure_value(&erasure));
    erasure
}

fn request_of(erasure: &Erasure) -> Result<Request, JobError> {
    let property_id = erasure.property_id.clone();
    let what = match erasure.visitor_ids.as_slice() {
        [] => What::Property { property_id },
        ids => {
            What::Visitors { property_id, visitor_ids: ids.iter().copied().map(erasure::VisitorId).collect() }
        }
    };
    let job = erasure.job.parse()?;
    Ok(Request { format: erasure::FORMAT, job, requested_at_ms: erasure.requested_at_ms, what })
}

fn is_about(request: &Request, wanted: &str) -> bool {
    match &request.what {
        What::Property { property_id } | What::Visitors { property_id, .. } => {
            wanted.is_empty() || property_id == wanted
        }
        What::Retention { .. } => wanted.is_empty(),
    }
}

fn random() -> Result<u32, Refusal> {
    getrandom::u32().map_err(|error| no_random(&error))
}

fn unavailable(error: &JobError) -> Refusal {
    tracing::warn!(%error, "erasures cannot be read");
    let message = "the store of erasures does not answer as it should; the log of the api says why, and the same request may be repeated";
    Refusal::new(Code::Unavailable, message)
}
