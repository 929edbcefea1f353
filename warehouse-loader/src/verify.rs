//! Compares the warehouse with a plan, and puts it right.
//!
//! In: the plan that is open, and plans before it whose rows are in doubt. Out: differences, and their repair. Minute tables
//! are compared with the plans' own figures; each hourly table with its minute table, over the plans' groups and dates.
//! Invariants: tables are changed only while the open plan is without `done`, so nobody inserts a later one meanwhile; a
//! repair may stop anywhere, because its mark makes whoever finishes the plan compare again.

use std::collections::BTreeMap;

use clickhouse::{Client, Row};
use serde::Deserialize;
use warehouse::tables::{HourlyTable, MinuteTable, PLANS_PER_GROUP};
use warehouse::{WarehouseConfig, WarehouseError, client};

use crate::document::{LocalDate, Plan};
use crate::metrics::InsertMetrics;
use crate::plan_log::{LogError, PlanLog};
use crate::send::Sender;

mod repair;
mod sql;

pub use repair::Repair;

/// Why a plan could not be compared or repaired.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The warehouse did not answer cleanly.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// Nobody knows whether the plan is still open.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Statements that may still change the tables are running.
    #[error("the warehouse is still at work on {0} statements of before")]
    Busy(u64),
    /// Minute rows of the group may have expired: rebuilding its hours from them could lose some.
    #[error(
        "group {group} of plans differs from the warehouse, but it began {days} days ago, so its minute rows may have \
         expired: restore the warehouse, or load the archive again"
    )]
    TooOld {
        /// The group.
        group: u64,
        /// Its age.
        days: u64,
    },
}

/// A date of a minute table whose rows of a plan are not the plan's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinuteDifference {
    /// Number of the plan.
    pub n: u64,
    /// Which table.
    pub table: MinuteTable,
    /// The date.
    pub date: LocalDate,
}

/// A date of an hourly table whose rows of a group are not the sums of their minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourDifference {
    /// The group.
    pub group: u64,
    /// When its first plan was created, unix milliseconds.
    pub group_started_at_ms: u64,
    /// Which table.
    pub table: &'static HourlyTable,
    /// The date.
    pub date: LocalDate,
}

/// Hours of a group to compare besides those that plans touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherHours {
    /// The group.
    pub group: u64,
    /// A time, unix milliseconds, at which all of its minute rows were there.
    pub group_started_at_ms: u64,
    /// Its dates.
    pub dates: Vec<LocalDate>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// In minute tables.
    pub minutes: Vec<MinuteDifference>,
    /// In hourly tables; empty while minutes differ.
    pub hours: Vec<HourDifference>,
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.hours.is_empty()
    }
}

/// Rows and hits of one plan and date in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
struct MinuteCount {
    plan: u64,
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
    log: PlanLog,
    sender: Sender,
    metrics: InsertMetrics,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier that asks `log` whether a repair is still wanted, and whose INSERTs go through `sender`.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn new(
        config: &WarehouseConfig,
        log: PlanLog,
        sender: Sender,
        metrics: InsertMetrics,
    ) -> Result<Self, WarehouseError> {
        Ok(Self { client: client(config)?, config: config.clone(), log, sender, metrics })
    }

    /// Compares plans with their tables.
    ///
    /// # Errors
    /// When the warehouse does not answer, or is still at work on earlier statements.
    pub async fn compare(&self, plans: &[Plan]) -> Result<Differences, VerifyError> {
        self.compare_with(plans, &[]).await
    }

    /// Compares plans with their tables, and further hours with their minutes.
    ///
    /// # Errors
    /// When the warehouse does not answer, or is still at work on earlier statements.
    pub async fn compare_with(
        &self,
        plans: &[Plan],
        further: &[FurtherHours],
    ) -> Result<Differences, VerifyError> {
        self.metrics.verifications.inc();
        self.check_idle().await?;
        let mut found = Differences::default();
        for table in MinuteTable::ALL {
            found.minutes.extend(self.compare_minutes(plans, table).await?);
        }
        if !found.minutes.is_empty() {
            return Ok(found);
        }
        let mut groups: BTreeMap<u64, Vec<&Plan>> = BTreeMap::new();
        for plan in plans {
            groups.entry(plan.group()).or_default().push(plan);
        }
        for plans in groups.values() {
            for table in MinuteTable::ALL.into_iter().flat_map(MinuteTable::hourly) {
                let dates = dates_of(plans.iter().copied(), table.source);
                let Some(first) = plans.first() else { continue };
                let group = (first.group(), first.group_started_at_ms);
                found.hours.extend(self.compare_hours(group, dates, table).await?);
            }
        }
        for hours in further {
            for table in MinuteTable::ALL.into_iter().flat_map(MinuteTable::hourly) {
                let group = (hours.group, hours.group_started_at_ms);
                let dates = hours.dates.clone();
                for difference in self.compare_hours(group, dates, table).await? {
                    if !found.hours.contains(&difference) {
                        found.hours.push(difference);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether no statement of before may still change the tables.
    ///
    /// # Errors
    /// When one may, or the warehouse does not answer.
    pub async fn check_idle(&self) -> Result<(), VerifyError> {
        let running: u64 =
            self.config.within("SELECT", self.client.query_raw(&sql::running()).fetch_one()).await?;
        if running > 0 { Err(VerifyError::Busy(running)) } else { Ok(()) }
    }

    async fn compare_minutes(
        &self,
        plans: &[Plan],
        table: MinuteTable,
    ) -> Result<Vec<MinuteDifference>, VerifyError> {
        let dates = dates_of(plans.iter(), table);
        if dates.is_empty() {
            return Ok(vec![]);
        }
        let rows_plans: Vec<u64> = plans.iter().map(|plan| plan.rows_plan).collect();
        let query = self.client.query_raw(&sql::minute_counts(table, &rows_plans, &dates));
        let counted: Vec<MinuteCount> = self.config.within("SELECT", query.fetch_all()).await?;
        let counted: BTreeMap<(u64, u16), (u64, u64)> = counted
            .into_iter()
            .map(|count| ((count.plan, count.local_date), (count.rows, count.hits)))
            .collect();
        let mut found = Vec::new();
        for plan in plans {
            for date in dates_of([plan].into_iter(), table) {
                let steps = || plan.steps_of(table).filter(|step| step.local_date == date);
                let expected =
                    (steps().map(|step| step.rows).sum::<u64>(), steps().map(|step| step.hits).sum::<u64>());
                if expected != counted.get(&(plan.rows_plan, date.0)).copied().unwrap_or_default() {
                    found.push(MinuteDifference { n: plan.n, table, date });
                }
            }
        }
        Ok(found)
    }

    async fn compare_hours(
        &self,
        (group, group_started_at_ms): (u64, u64),
        dates: Vec<LocalDate>,
        table: &'static HourlyTable,
    ) -> Result<Vec<HourDifference>, VerifyError> {
        if dates.is_empty() {
            return Ok(vec![]);
        }
        let from_minutes = self.client.query_raw(&sql::sums_of_minutes(table, group, &dates));
        let expected: Vec<HourlySums> = self.config.within("SELECT", from_minutes.fetch_all()).await?;
        let from_hours = self.client.query_raw(&sql::sums_of_hours(table, group, &dates));
        let actual: Vec<HourlySums> = self.config.within("SELECT", from_hours.fetch_all()).await?;
        let of = |sums: &[HourlySums], date: LocalDate| {
            sums.iter().find(|sum| sum.local_date == date.0).map(|sum| sum.sums.clone()).unwrap_or_default()
        };
        let differs = |date: &LocalDate| of(&expected, *date) != of(&actual, *date);
        let difference = |date| HourDifference { group, group_started_at_ms, table, date };
        Ok(dates.into_iter().filter(differs).map(difference).collect())
    }
}

/// The dates that plans touch in a table, each once, ascending.
fn dates_of<'a>(plans: impl Iterator<Item = &'a Plan>, table: MinuteTable) -> Vec<LocalDate> {
    let mut dates: Vec<LocalDate> =
        plans.flat_map(|plan| plan.steps_of(table)).map(|step| step.local_date).collect();
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// First plan number of a group, and of the next.
fn group_range(group: u64) -> (u64, u64) {
    (group * PLANS_PER_GROUP, (group + 1) * PLANS_PER_GROUP)
}
