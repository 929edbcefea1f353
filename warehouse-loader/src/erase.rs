//! Removes from the warehouse what erasures ask for: of a property, of visitors, or everything past its retention.
//!
//! In: open jobs, and plans that carry them out. Out: statements that delete or rewrite rows, and what was counted before and
//! after. Invariants: tables are changed only while the plan is open, and only rows of plans before it; hours are rebuilt only
//! from minutes that are all there; every step may stop anywhere and be done again.

use clickhouse::{Client, Row, RowOwned, RowRead};
use serde::{Deserialize, Serialize};
use warehouse::tables::HOURLY;
use warehouse::{WarehouseConfig, WarehouseError, client};

use crate::document::{Erase, GroupDate, Held, LocalDate, Part, Plan};

mod sql;
pub mod turn;

use sql::{DAY_MS, MAX_GROUP_DAYS};
pub use sql::{Rebuild, Removal, rebuilds, removals};

/// The `[erase]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EraseConfig {
    /// How often open erasures are listed, ms (default 5,000). Segments are listed for them twelve times as seldom.
    pub list_interval_ms: u64,
    /// How long an erasure waits for what edges received before it was requested, ms (default 600,000). Then it goes ahead, says
    /// so, and looks again for visitors when more has come.
    pub wait_received_ms: u64,
}

impl Default for EraseConfig {
    fn default() -> Self {
        Self { list_interval_ms: 5_000, wait_received_ms: 600_000 }
    }
}

/// What a plan that forgets visitors finds before it changes anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Hours to rebuild.
    pub hours: Vec<GroupDate>,
    /// Hours whose minutes are gone.
    pub held: Vec<Held>,
}

/// The stage.
#[derive(Clone)]
pub struct Eraser {
    client: Client,
    config: WarehouseConfig,
}

impl std::fmt::Debug for Eraser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eraser").field("url", &self.config.url).finish_non_exhaustive()
    }
}

#[derive(Row, Deserialize)]
struct GroupDateRow {
    plan_group: u64,
    local_date: u16,
}

#[derive(Row, Deserialize)]
struct SpanRow {
    rows: u64,
    first: u16,
    last: u16,
}

impl Eraser {
    /// An eraser of this warehouse.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn new(config: &WarehouseConfig) -> Result<Self, WarehouseError> {
        Ok(Self { client: client(config)?, config: config.clone() })
    }

    /// Which hours hold the visitors that a plan forgets. `now_ms` is the wall clock. Nothing, if it forgets none.
    ///
    /// # Errors
    /// When the warehouse does not answer.
    pub async fn survey(&self, plan: &Plan, erase: &Erase, now_ms: u64) -> Result<Survey, WarehouseError> {
        let Some((property, condition)) = sql::visitors_condition(erase, plan.rows_plan) else {
            return Ok(Survey::default());
        };
        // Two days of grace for clocks and merges; the rows of a group lie within seven days.
        let days = u64::from(self.config.minute_ttl_days).saturating_sub(2 + MAX_GROUP_DAYS);
        let since_s = now_ms.saturating_sub(days * DAY_MS) / 1_000;
        let first: u64 = self.fetch_one(&sql::first_whole_group(since_s, plan.group())).await?;
        let found: Vec<GroupDateRow> = self.fetch_all(&sql::hours_of(&condition, first)).await?;
        let hours = found
            .into_iter()
            .map(|row| GroupDate { group: row.plan_group, date: LocalDate(row.local_date) })
            .collect();
        let mut held = Vec::new();
        for table in HOURLY.into_iter().filter(|table| !table.sets.is_empty()) {
            let span: SpanRow = self.fetch_one(&sql::span_of(table, property, first)).await?;
            if span.rows > 0 {
                let (from, to) = (LocalDate(span.first), LocalDate(span.last));
                held.push(Held { table: table.name.to_owned(), from, to });
            }
        }
        Ok(Survey { hours, held })
    }

    /// Rows that a removal is about.
    ///
    /// # Errors
    /// When the warehouse does not answer.
    pub async fn count(&self, removal: &Removal) -> Result<u64, WarehouseError> {
        self.fetch_one(&removal.count()).await
    }

    /// Rows that a rebuild is about.
    ///
    /// # Errors
    /// When the warehouse does not answer.
    pub async fn count_hours(&self, rebuild: &Rebuild) -> Result<u64, WarehouseError> {
        self.fetch_one(&rebuild.count()).await
    }

    /// Rows of minutes that are to have gone, of the plans before, and for visitors of before the request too.
    ///
    /// # Errors
    /// When the warehouse does not answer.
    pub async fn left(&self, erase: &Erase, rows_plan: u64) -> Result<u64, WarehouseError> {
        let mut left = 0_u64;
        for statement in sql::left(erase, rows_plan) {
            left = left.saturating_add(self.fetch_one::<u64>(&statement).await?);
        }
        Ok(left)
    }

    /// Dates of a group's minutes that lie before the latest date of an erasure by retention.
    ///
    /// # Errors
    /// When the warehouse does not answer.
    pub async fn dates_of(&self, erase: &Erase, group: u64) -> Result<Vec<LocalDate>, WarehouseError> {
        let Some(statement) = sql::dates_before(erase, group) else { return Ok(vec![]) };
        Ok(self.fetch_all::<u16>(&statement).await?.into_iter().map(LocalDate).collect())
    }

    /// Sends a statement. `what`: its kind, for an error.
    ///
    /// # Errors
    /// When the answer is not clean.
    pub async fn execute(&self, what: &'static str, sql: &str) -> Result<(), WarehouseError> {
        self.config.within(what, self.client.query_raw(sql).execute()).await
    }

    async fn fetch_one<T: RowOwned + RowRead>(&self, sql: &str) -> Result<T, WarehouseError> {
        self.config.within("SELECT", self.client.query_raw(sql).fetch_one()).await
    }

    async fn fetch_all<T: RowOwned + RowRead>(&self, sql: &str) -> Result<Vec<T>, WarehouseError> {
        self.config.within("SELECT", self.client.query_raw(sql).fetch_all()).await
    }
}

/// The part of a plan, with what was found before its first statement.
pub fn part_of(plan: &Plan, erase: &Erase, survey: Survey) -> Part {
    Part {
        format: crate::document::FORMAT,
        shard: plan.shard,
        n: plan.n,
        rows_plan: plan.rows_plan,
        created_at_ms: plan.created_at_ms,
        erase: erase.clone(),
        hours: survey.hours,
        held: survey.held,
    }
}
