//! What is past its retention: found in the warehouse, asked for by date.
//!
//! In: the properties that keep their hits for a number of days, and the oldest local date that there is of each. Out: those with older
//! ones, and jobs that erase these. Invariant: of a property the day that it is there and as many before it as its retention says stay.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use clickhouse::{Client, Row};
use configuration::replica::{Reader, Records as _};
use configuration::stored::{self, PROPERTY};
use erasure::{Before, JobError, JobId, Jobs, Request, What};
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde::Deserialize;
use warehouse::WarehouseError;

use crate::history::unreadable;
use crate::refuse::{Code, Refusal};

/// Most properties of a job.
const PROPERTIES_MAX: usize = 10_000;

/// How long the warehouse may look.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A property with something past its retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRetention {
    /// `p_…`
    pub property_id: String,
    /// Earlier local dates go.
    pub before: Date,
    /// The first that there is.
    pub first: Date,
}

/// Until when each property keeps nothing, by id.
pub(super) type Terms = HashMap<String, Date>;

/// The properties that do not keep all for ever.
pub(super) fn terms(reader: &Reader<'_>, now_ms: u64) -> Result<Terms, Refusal> {
    let (mut terms, mut ids) = (Terms::new(), Vec::new());
    let told = reader.for_each(PROPERTY, &mut |key, value| {
        if stored::retention_days(key, value).is_ok_and(|days| days > 0) {
            ids.extend(key.strip_prefix(PROPERTY).map(str::to_owned));
        }
    });
    told.map_err(|error| unreadable(&error))?;
    let now =
        Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    for id in ids {
        let Some(named) = stored::property(reader, &id)? else { continue };
        let today = now.to_zoned(named.property.zone().clone()).date();
        if let Ok(before) = today.checked_sub(Span::new().days(named.retention_days)) {
            terms.insert(id, before);
        }
    }
    Ok(terms)
}

/// The oldest date of a property.
#[derive(Debug, Row, Deserialize)]
struct OldestRow {
    property: String,
    /// Days since 1970-01-01.
    first: u16,
}

/// Those with something older, by id.
pub(super) async fn find(warehouse: &Client, terms: &Terms) -> Result<Vec<PastRetention>, Refusal> {
    let Some(latest) = terms.values().max() else { return Ok(Vec::new()) };
    let looked = tokio::time::timeout(TIMEOUT, look(warehouse, terms, *latest)).await;
    let mut found = match looked {
        Ok(found) => found.map_err(refuse)?,
        Err(_) => {
            let message =
                format!("the warehouse took longer than {} s to find what is old", TIMEOUT.as_secs());
            return Err(Refusal::new(Code::DeadlineExceeded, message));
        }
    };
    found.sort_by(|a, b| a.property_id.cmp(&b.property_id));
    Ok(found)
}

async fn look(
    warehouse: &Client,
    terms: &Terms,
    latest: Date,
) -> Result<Vec<PastRetention>, clickhouse::error::Error> {
    // Hits are in the totals; hits that were not counted are in a table of their own.
    let sql = "SELECT property, min(local_date) AS first FROM (\
               SELECT property, local_date FROM total_hourly WHERE local_date < {latest:Date} UNION ALL \
               SELECT property, local_date FROM refusal_hourly WHERE local_date < {latest:Date}) GROUP BY property";
    let query = warehouse
        .query(sql)
        .with_setting("readonly", "2")
        .with_setting("max_execution_time", TIMEOUT.as_secs().to_string())
        .param("latest", latest.to_string());
    let mut rows = query.fetch::<OldestRow>()?;
    let mut found = Vec::new();
    while let Some(OldestRow { property, first }) = rows.next().await? {
        let first = jiff::civil::date(1970, 1, 1).saturating_add(Span::new().days(first));
        let Some(before) = terms.get(&property).copied().filter(|before| first < *before) else { continue };
        found.push(PastRetention { property_id: property, before, first });
    }
    Ok(found)
}

/// Makes jobs; the ids of all say `job_ms`, and the first has the number `random`. A job that is there already stays as it is.
pub(super) async fn ask(
    jobs: &Jobs,
    found: &[PastRetention],
    (job_ms, requested_at_ms): (u64, u64),
    random: u32,
) -> Result<Vec<String>, JobError> {
    let mut made = Vec::new();
    let chunks: Vec<_> = found.chunks(PROPERTIES_MAX).zip(0_u32..).collect();
    // The first one last: it says that all are there.
    for (chunk, number) in chunks.into_iter().rev() {
        let mut by_date: BTreeMap<Date, Vec<String>> = BTreeMap::new();
        for past in chunk {
            by_date.entry(past.before).or_default().push(past.property_id.clone());
        }
        let before = by_date.into_iter().map(|(date, property_ids)| Before { date, property_ids }).collect();
        let job = JobId::new(job_ms, random.wrapping_add(number));
        let request =
            Request { format: erasure::FORMAT, job, requested_at_ms, what: What::Retention { before } };
        match jobs.create(&request).await {
            // Another api has made it of what it found.
            Ok(_) | Err(JobError::Taken(_)) => made.push(request.job.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

fn refuse(error: clickhouse::error::Error) -> Refusal {
    let error = WarehouseError::from(error);
    Refusal::new(Code::Unavailable, format!("the warehouse does not say what is old: {error}"))
}
