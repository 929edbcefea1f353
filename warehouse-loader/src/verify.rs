//! Compares the warehouse with a plan, and puts it right.
//!
//! In: a plan whose INSERTs were not all answered cleanly, and its rows. Out: differences, and their repair. Minute tables
//! are compared with the plan's own figures; each hourly table with its minute table, over the plan's group and dates.
//! Invariant: a repair may stop anywhere, because the plan stays without `done` and is compared again.

use clickhouse::{Client, Row};
use serde::Deserialize;
use warehouse::tables::{HourlyTable, MinuteTable, PLANS_PER_GROUP};
use warehouse::{WarehouseConfig, WarehouseError, client};

use crate::document::{LocalDate, Plan};
use crate::metrics::{InsertMetrics, RepairLabels};
use crate::rows::{Chunk, PlanRows};
use crate::send::Sender;

mod sql;

/// Why a plan could not be compared or repaired.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The warehouse did not answer cleanly.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// Statements that may still change the tables are running.
    #[error("the warehouse is still at work on {0} statements of before")]
    Busy(u64),
    /// Minute rows of the group may have expired: rebuilding its hours from them could lose some.
    #[error(
        "plan {n} differs from the warehouse, but its group of plans began {days} days ago, so its minute rows may have \
         expired: restore the warehouse, or load the archive again"
    )]
    TooOld {
        /// The plan.
        n: u64,
        /// Age of its group.
        days: u64,
    },
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Dates of minute tables whose rows of the plan are not the plan's.
    pub minutes: Vec<(MinuteTable, LocalDate)>,
    /// Dates of hourly tables that are not the sums of their minutes; empty while minutes differ.
    pub hours: Vec<(&'static HourlyTable, LocalDate)>,
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.hours.is_empty()
    }
}

/// Rows and hits of one date, in a plan or in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
struct MinuteCount {
    local_date: u16,
    rows: u64,
    hits: u64,
}

/// Sums of one date: the measures, then a fingerprint that also tells which keys they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
struct HourlySums {
    local_date: u16,
    sums: Vec<u64>,
}

/// The stage.
#[derive(Clone)]
pub struct Verifier {
    client: Client,
    config: WarehouseConfig,
    sender: Sender,
    metrics: InsertMetrics,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier whose repairs go through `sender`.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn new(
        config: &WarehouseConfig,
        sender: Sender,
        metrics: InsertMetrics,
    ) -> Result<Self, WarehouseError> {
        Ok(Self { client: client(config)?, config: config.clone(), sender, metrics })
    }

    /// Compares a plan with its tables.
    ///
    /// # Errors
    /// When the warehouse does not answer, or is still at work on earlier statements.
    pub async fn compare(&self, plan: &Plan) -> Result<Differences, VerifyError> {
        self.metrics.verifications.inc();
        let running: u64 = self.within("SELECT", self.client.query_raw(sql::RUNNING).fetch_one()).await?;
        if running > 0 {
            return Err(VerifyError::Busy(running));
        }
        let mut found = Differences::default();
        for table in MinuteTable::ALL {
            let dates = self.compare_minutes(plan, table).await?;
            found.minutes.extend(dates.into_iter().map(|date| (table, date)));
        }
        if !found.minutes.is_empty() {
            return Ok(found);
        }
        for source in MinuteTable::ALL {
            for table in source.hourly() {
                let dates = self.compare_hours(plan, table).await?;
                found.hours.extend(dates.into_iter().map(|date| (table, date)));
            }
        }
        Ok(found)
    }

    async fn compare_minutes(&self, plan: &Plan, table: MinuteTable) -> Result<Vec<LocalDate>, VerifyError> {
        let dates = dates_of(plan, table);
        if dates.is_empty() {
            return Ok(vec![]);
        }
        let query = self.client.query(&sql::minute_counts(table, &dates)).bind(plan.rows_plan);
        let counted: Vec<MinuteCount> = self.within("SELECT", query.fetch_all()).await?;
        let differs = |date: &LocalDate| {
            let steps = || plan.steps_of(table).filter(|step| step.local_date == *date);
            let expected =
                (steps().map(|step| step.rows).sum::<u64>(), steps().map(|step| step.hits).sum::<u64>());
            let actual = counted.iter().find(|count| count.local_date == date.0);
            expected != actual.map_or((0, 0), |count| (count.rows, count.hits))
        };
        Ok(dates.into_iter().filter(differs).collect())
    }

    async fn compare_hours(&self, plan: &Plan, table: &HourlyTable) -> Result<Vec<LocalDate>, VerifyError> {
        let dates = dates_of(plan, table.source);
        if dates.is_empty() {
            return Ok(vec![]);
        }
        let from_minutes = self.client.query_raw(&sql::sums_of_minutes(table, plan.group(), &dates));
        let expected: Vec<HourlySums> = self.within("SELECT", from_minutes.fetch_all()).await?;
        let from_hours = self.client.query_raw(&sql::sums_of_hours(table, plan.group(), &dates));
        let actual: Vec<HourlySums> = self.within("SELECT", from_hours.fetch_all()).await?;
        let of = |sums: &[HourlySums], date: LocalDate| {
            sums.iter().find(|sum| sum.local_date == date.0).map(|sum| sum.sums.clone()).unwrap_or_default()
        };
        Ok(dates.into_iter().filter(|date| of(&expected, *date) != of(&actual, *date)).collect())
    }

    /// Repairs what a comparison found; compare again afterwards. `round` counts the repairs of this plan from 1: it
    /// makes the tokens new. `now_ms` is the wall clock.
    ///
    /// # Errors
    /// When the warehouse does not answer cleanly, or a repair could do harm.
    pub async fn repair(
        &self,
        plan: &Plan,
        rows: &PlanRows,
        chunks: &[Chunk],
        differences: &Differences,
        round: u32,
        now_ms: u64,
    ) -> Result<(), VerifyError> {
        self.check_age(plan, now_ms)?;
        for (table, date) in &differences.minutes {
            tracing::warn!(plan = plan.n, table = table.name(), %date, "rows of the plan differ; repairing");
            self.metrics.repairs.get_or_create(&RepairLabels { table: table.name() }).inc();
            self.repair_minutes(plan, rows, chunks, (*table, *date), round).await?;
        }
        for (table, date) in &differences.hours {
            tracing::warn!(plan = plan.n, table = table.name, %date, "hours differ from minutes; rebuilding");
            self.metrics.repairs.get_or_create(&RepairLabels { table: table.name }).inc();
            self.execute("ALTER", &sql::delete_hours(table, plan.group(), *date)).await?;
            self.execute("INSERT", &sql::rebuild_hours(table, plan.group(), *date)).await?;
        }
        Ok(())
    }

    async fn repair_minutes(
        &self,
        plan: &Plan,
        rows: &PlanRows,
        chunks: &[Chunk],
        (table, date): (MinuteTable, LocalDate),
        round: u32,
    ) -> Result<(), VerifyError> {
        self.execute("ALTER", &sql::delete_minutes(table, plan.rows_plan, date)).await?;
        for (chunk, step) in chunks.iter().zip(&plan.inserts) {
            if chunk.table == table && chunk.local_date == date {
                let token = format!("{}-r{round}", step.token);
                self.sender.send(rows, chunk, plan.rows_plan, &token, self.sender.not_after()).await?;
            }
        }
        Ok(())
    }

    fn check_age(&self, plan: &Plan, now_ms: u64) -> Result<(), VerifyError> {
        let days = now_ms.saturating_sub(plan.group_started_at_ms) / (24 * 3_600_000);
        // Two days of grace for clocks and merges.
        if days + 2 >= u64::from(self.config.minute_ttl_days) {
            return Err(VerifyError::TooOld { n: plan.n, days });
        }
        Ok(())
    }

    async fn execute(&self, what: &'static str, sql: &str) -> Result<(), WarehouseError> {
        self.within(what, self.client.query_raw(sql).execute()).await
    }

    async fn within<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = clickhouse::error::Result<T>>,
    ) -> Result<T, WarehouseError> {
        match tokio::time::timeout(self.config.receive_timeout(), work).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(WarehouseError::Timeout { what, after_ms: self.config.receive_timeout_ms }),
        }
    }
}

/// The dates that a plan touches in a table, each once, ascending.
fn dates_of(plan: &Plan, table: MinuteTable) -> Vec<LocalDate> {
    let mut dates: Vec<LocalDate> = plan.steps_of(table).map(|step| step.local_date).collect();
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// First plan number of a group, and of the next.
fn group_range(group: u64) -> (u64, u64) {
    (group * PLANS_PER_GROUP, (group + 1) * PLANS_PER_GROUP)
}
