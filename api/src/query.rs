//! Asks the warehouse: statements with bound values in, rows of labels and sums out.
//!
//! Every statement carries the property a second time (`additional_table_filters`), the rest of the caller's deadline
//! and a bound on memory, and may only read. What the warehouse says when it fails is logged here and answered in
//! words that a caller can act on.

use std::time::Duration;

use clickhouse::Client;
use clickhouse::query::BytesCursor;
use tokio::time::Instant;
use warehouse::WarehouseError;

use crate::plan::fields::Measure;
use crate::plan::{LIMIT_MAX, Part, Plan};
use crate::refuse::{Code, Refusal};

mod channel;
pub mod sql;

use sql::Sql;

/// After the deadline the warehouse gets this long to say itself that it gave up.
const GRACE: Duration = Duration::from_millis(500);

/// What a channel is takes 150 kB, a property's own channels some hundred more; ClickHouse's default is 256 KiB.
const MAX_QUERY_BYTES: &str = "4194304";

/// ClickHouse's error codes that mean something to a caller.
mod server {
    pub(super) const UNKNOWN_TABLE: u32 = 60;
    pub(super) const UNKNOWN_DATABASE: u32 = 81;
    pub(super) const TIMEOUT_EXCEEDED: u32 = 159;
    pub(super) const MEMORY_LIMIT_EXCEEDED: u32 = 241;
    pub(super) const CANNOT_COMPILE_REGEXP: u32 = 427;
}

/// The measures of a row by [`Measure::index`]; 0 where the table has none.
pub type Sums = [u64; Measure::COUNT];

/// The sums of no row.
pub const NO_SUMS: Sums = [0; Measure::COUNT];

/// A row as a table gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In the order of the plan's dimensions.
    pub labels: Vec<String>,
    /// What was added up.
    pub sums: Sums,
}

/// What the tables of a plan gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// One table: in order, limit and offset applied, and the number of rows without them.
    Page {
        /// The rows.
        rows: Vec<Row>,
        /// Rows there are.
        row_count: u64,
    },
    /// Several tables: all rows of each, in no order.
    Parts(Vec<Vec<Row>>),
}

/// Everything a report is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The rows.
    pub found: Found,
    /// The same measures without dimensions.
    pub totals: Sums,
    /// Hits received before this instant are counted, Unix milliseconds.
    pub data_until_ms: Option<i64>,
}

/// Where reports are asked.
#[derive(Clone)]
pub struct Warehouse {
    client: Client,
    max_memory_bytes: u64,
}

impl Warehouse {
    /// Asks through `client`, with at most this much memory per statement.
    pub fn new(client: Client, max_memory_bytes: u64) -> Self {
        Self { client, max_memory_bytes }
    }

    /// Runs the statements of a plan, at once, until `deadline`.
    pub async fn run(&self, plan: &Plan, deadline: Instant) -> Result<Findings, Refusal> {
        let asked = Asked { warehouse: self, plan, deadline };
        let all = async { tokio::try_join!(asked.found(), asked.totals(), asked.data_until()) };
        match tokio::time::timeout_at(deadline + GRACE, all).await {
            Ok(answer) => {
                let (found, totals, data_until_ms) = answer?;
                Ok(Findings { found, totals, data_until_ms })
            }
            Err(_) => Err(too_late()),
        }
    }

    /// One statement; the setting of limits and scope stands here and nowhere else.
    fn ask(&self, sql: &Sql, property_id: &str, deadline: Instant) -> Result<BytesCursor, Refusal> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_late());
        }
        // Whole seconds, rounded up: 0 would mean no limit.
        let seconds = left.as_secs() + 1;
        let mut query = self
            .client
            .query_raw(&sql.text)
            .with_setting("readonly", "2")
            .with_setting("max_query_size", MAX_QUERY_BYTES)
            .with_setting("additional_table_filters", sql::additional_table_filters(property_id))
            .with_setting("max_execution_time", seconds.to_string())
            .with_setting("max_memory_usage", self.max_memory_bytes.to_string())
            .with_setting("output_format_json_quote_64bit_integers", "0");
        for (name, value) in &sql.params {
            query = query.param(name, value);
        }
        query.fetch_bytes("JSONCompactEachRow").map_err(refuse)
    }
}

/// One plan on its way.
struct Asked<'a> {
    warehouse: &'a Warehouse,
    plan: &'a Plan,
    deadline: Instant,
}

impl Asked<'_> {
    async fn found(&self) -> Result<Found, Refusal> {
        match self.plan.parts.as_slice() {
            [] => Ok(Found::Page { rows: Vec::new(), row_count: 0 }),
            [only] => self.page(only).await,
            several => {
                let all = several.iter().map(|part| self.all_rows(part));
                Ok(Found::Parts(futures::future::try_join_all(all).await?))
            }
        }
    }

    async fn page(&self, part: &Part) -> Result<Found, Refusal> {
        let rows = self.rows(&sql::rows(self.plan, part, true, 0), &part.measures).await?;
        let known = self.plan.offset.saturating_add(rows.len());
        // A page that is not full, and not beyond the end, tells how many rows there are.
        let is_last = rows.len() < self.plan.limit && (self.plan.offset == 0 || !rows.is_empty());
        let row_count = if is_last {
            u64::try_from(known).unwrap_or(u64::MAX)
        } else if self.plan.dimensions.is_empty() {
            1
        } else {
            self.number(&sql::count(self.plan, part)).await?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        };
        Ok(Found::Page { rows, row_count })
    }

    async fn all_rows(&self, part: &Part) -> Result<Vec<Row>, Refusal> {
        let rows = self.rows(&sql::rows(self.plan, part, false, LIMIT_MAX + 1), &part.measures).await?;
        if rows.len() > LIMIT_MAX {
            return Err(Refusal::new(
                Code::InvalidArgument,
                format!(
                    "metrics of hits, sessions, values, items and refusals together have more than {LIMIT_MAX} rows here; ask for them \
                     one after the other, for fewer days or with a filter"
                ),
            ));
        }
        Ok(rows)
    }

    async fn totals(&self) -> Result<Sums, Refusal> {
        let mut sums = NO_SUMS;
        for part in &self.plan.parts {
            // Few rows and cheap: one after the other.
            for row in self.read(&sql::totals(self.plan, part), 0, &part.measures).await? {
                add(&mut sums, &row.sums);
            }
        }
        Ok(sums)
    }

    async fn data_until(&self) -> Result<Option<i64>, Refusal> {
        self.number(&sql::data_until()).await
    }

    async fn rows(&self, sql: &Sql, measures: &[Measure]) -> Result<Vec<Row>, Refusal> {
        self.read(sql, self.plan.dimensions.len(), measures).await
    }

    async fn number(&self, sql: &Sql) -> Result<Option<i64>, Refusal> {
        let mut number = None;
        self.lines(sql, |line| {
            let (first,): (i64,) = serde_json::from_slice(line).map_err(garbled)?;
            number = Some(first);
            Ok(())
        })
        .await?;
        Ok(number)
    }

    async fn read(&self, sql: &Sql, labels: usize, measures: &[Measure]) -> Result<Vec<Row>, Refusal> {
        let mut rows = Vec::new();
        self.lines(sql, |line| {
            rows.push(parse_row(line, labels, measures)?);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Hands over the answer line by line as it comes.
    async fn lines(
        &self,
        sql: &Sql,
        mut on_line: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut cursor = self.warehouse.ask(sql, &self.plan.property.property_id, self.deadline)?;
        let mut held: Vec<u8> = Vec::new();
        while let Some(chunk) = cursor.next().await.map_err(refuse)? {
            let mut rest = chunk.as_ref();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, behind) = rest.split_at(end);
                held.extend_from_slice(line);
                on_line(&held)?;
                held.clear();
                rest = behind.get(1..).unwrap_or_default();
            }
            held.extend_from_slice(rest);
        }
        if held.is_empty() { Ok(()) } else { on_line(&held) }
    }
}

/// Adds what one table gave to what another did; measures are never in both.
pub(crate) fn add(sums: &mut Sums, more: &Sums) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}

fn parse_row(line: &[u8], labels: usize, measures: &[Measure]) -> Result<Row, Refusal> {
    let cells: Vec<serde_json::Value> = serde_json::from_slice(line).map_err(garbled)?;
    let mut row = Row { labels: Vec::with_capacity(labels), sums: NO_SUMS };
    let mut cells = cells.into_iter();
    for cell in cells.by_ref().take(labels) {
        let serde_json::Value::String(label) = cell else { return Err(garbled("a label is not a string")) };
        row.labels.push(label);
    }
    for measure in measures {
        let value =
            cells.next().and_then(|cell| cell.as_u64()).ok_or_else(|| garbled("a sum is not a count"))?;
        if let Some(sum) = row.sums.get_mut(measure.index()) {
            *sum = value;
        }
    }
    Ok(row)
}

fn garbled(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "the warehouse's answer cannot be read");
    Refusal::new(Code::Internal, "the warehouse's answer cannot be read; the log of the api says why")
}

fn too_late() -> Refusal {
    Refusal::new(
        Code::DeadlineExceeded,
        "the report took longer than allowed; ask for fewer days or dimensions, or allow more time",
    )
}

fn refuse(error: clickhouse::error::Error) -> Refusal {
    let error = WarehouseError::from(error);
    let code = error.code();
    let refusal = match code {
        Some(server::TIMEOUT_EXCEEDED) => too_late(),
        Some(server::CANNOT_COMPILE_REGEXP) => Refusal::new(
            Code::InvalidArgument,
            "filter holds a regular expression that the warehouse (RE2) does not know; write it with plainer means",
        ),
        Some(server::MEMORY_LIMIT_EXCEEDED) => Refusal::new(
            Code::Overloaded,
            "the report needs more memory than allowed; ask for fewer days or dimensions",
        ),
        Some(server::UNKNOWN_TABLE | server::UNKNOWN_DATABASE) => Refusal::new(
            Code::Unavailable,
            "the warehouse has no tables yet: the loader makes them when it starts; repeat the request then",
        ),
        _ if error.is_retryable() => {
            Refusal::new(Code::Unavailable, "the warehouse does not answer now; repeat the request")
        }
        _ => Refusal::new(Code::Internal, "the warehouse refused the query; the log of the api says why"),
    };
    if refusal.code != Code::InvalidArgument {
        tracing::warn!(%error, code = refusal.code.as_str(), "the warehouse did not answer a report");
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_place() {
        let measures = [Measure::PageViews, Measure::Visitors];
        let row = parse_row(br#"["2015-05-17","\/a\"b",18446744073709551615,2]"#, 2, &measures).unwrap();
        assert_eq!(row.labels, ["2015-05-17", "/a\"b"]);
        assert_eq!(row.sums[Measure::PageViews.index()], u64::MAX);
        assert_eq!(row.sums[Measure::Visitors.index()], 2);
        for bad in ["", "[]", "[1,2,3,4]", r#"["a","b",1]"#, r#"["a","b",-1,2]"#] {
            assert_eq!(parse_row(bad.as_bytes(), 2, &measures).unwrap_err().code, Code::Internal, "{bad}");
        }
    }
}
