//! How many hits properties have had on the dates that are somebody's today.
//!
//! In: the properties with a quota. Out: those that are over it. It is the one statement that is about several properties: nobody called
//! for it, and nothing of it is told to anybody but as `over`. It may only read, and its answer is looked at row by row.

use std::time::Duration;

use clickhouse::Row;
use property::local_date;
use serde::Deserialize;
use warehouse::WarehouseError;

use super::{Found, TOLD_AT_ONCE, Watcher};
use crate::refuse::{Code, Refusal};

/// Most properties that are named in the statement: 23 bytes each in a URL of at most 64 KiB. Of more all are added up.
const NAMED_MAX: usize = 1_000;

/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The hits of a day.
#[derive(Debug, Row, Deserialize)]
struct DayRow {
    property: String,
    /// Days since 1970-01-01.
    local_date: u16,
    hits: u64,
}

impl Watcher {
    /// Those that are over their quota on their own today, and that edges were not told of.
    pub(super) async fn count(&self, now_ms: u64) -> Result<Vec<Found>, Refusal> {
        let counting = tokio::time::timeout(TIMEOUT, self.count_unbounded(now_ms));
        match counting.await {
            Ok(counted) => counted.map_err(refuse),
            Err(_) => Err(Refusal::new(Code::DeadlineExceeded, "counting took longer than 60 s")),
        }
    }

    async fn count_unbounded(&self, now_ms: u64) -> Result<Vec<Found>, clickhouse::error::Error> {
        let names = self.known.ids(NAMED_MAX);
        let named = if names.is_some() { "property IN {properties:Array(String)} AND " } else { "" };
        // Generation 0 is what edges sent; others are the same hits again.
        let sql = format!(
            "SELECT property, local_date, sum(events) AS hits FROM total_hourly \
             WHERE {named}generation = 0 AND local_date >= {{first:Date}} AND local_date <= {{last:Date}} \
             GROUP BY property, local_date HAVING hits >= {{lowest:UInt64}}"
        );
        // It is no more than 14 hours later, and 12 earlier, than in UTC.
        let date = local_date(now_ms, &jiff::tz::TimeZone::UTC);
        let mut query = self
            .client
            .query(&sql)
            .with_setting("readonly", "2")
            .with_setting("max_execution_time", TIMEOUT.as_secs().to_string())
            .param("first", shown(date - 1))
            .param("last", shown(date + 1))
            .param("lowest", self.known.lowest());
        if let Some(names) = names {
            query = query.param("properties", names);
        }
        let mut rows = query.fetch::<DayRow>()?;
        let mut found = Vec::new();
        while found.len() < TOLD_AT_ONCE
            && let Some(DayRow { property, local_date, hits }) = rows.next().await?
        {
            let row = Found { property_id: property, local_date: i32::from(local_date), hits };
            if self.known.is_new(&row, now_ms) {
                found.push(row);
            }
        }
        Ok(found)
    }
}

/// `2026-01-31`
fn shown(days: i32) -> String {
    let first = jiff::civil::date(1970, 1, 1);
    first.saturating_add(jiff::Span::new().days(days.clamp(0, 65_535))).to_string()
}

fn refuse(error: clickhouse::error::Error) -> Refusal {
    let error = WarehouseError::from(error);
    Refusal::new(Code::Unavailable, format!("the warehouse does not say how many hits there were: {error}"))
}
