//! Puts right what a comparison found.
//!
//! In: the open plan, differences, and the data of the plans whose minute rows differ. Out: whether all statements were
//! sent. Invariants: the mark is there before the first statement; before each one the time until which it may act is
//! taken, then the plan is found open: a statement of a loader that slept in between changes nothing.

use warehouse::WarehouseError;

use super::{Differences, HourDifference, MinuteDifference, Verifier, VerifyError, sql};
use crate::document::Plan;
use crate::metrics::RepairLabels;
use crate::rows::PlanData;

/// How a repair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// All statements were answered cleanly: compare again.
    Made,
    /// The open plan is done meanwhile; the rest was not sent.
    Overtaken,
}

impl Verifier {
    /// Repairs what a comparison found while `open` is open; compare again afterwards. `loader` signs the mark; `now_ms` is
    /// the wall clock.
    ///
    /// # Errors
    /// When the warehouse does not answer cleanly, nobody knows whether the plan is open, or a repair could do harm.
    pub async fn repair(
        &self,
        open: &Plan,
        data: &[PlanData],
        differences: &Differences,
        (loader, now_ms): (&str, u64),
    ) -> Result<Repair, VerifyError> {
        for data in data {
            self.check_age(data.plan.group(), data.plan.group_started_at_ms, now_ms)?;
        }
        for hour in &differences.hours {
            self.check_age(hour.group, hour.group_started_at_ms, now_ms)?;
        }
        self.log.put_repair(open.n, loader, now_ms).await?;
        for minute in &differences.minutes {
            let Some(data) = data.iter().find(|data| data.plan.n == minute.n) else { continue };
            if self.repair_minutes(open, data, minute).await? == Repair::Overtaken {
                return Ok(Repair::Overtaken);
            }
        }
        for hour in &differences.hours {
            if self.repair_hours(open, hour).await? == Repair::Overtaken {
                return Ok(Repair::Overtaken);
            }
        }
        Ok(Repair::Made)
    }

    async fn repair_minutes(
        &self,
        open: &Plan,
        data: &PlanData,
        difference: &MinuteDifference,
    ) -> Result<Repair, VerifyError> {
        let &MinuteDifference { n, table, date } = difference;
        let rows_plan = data.plan.rows_plan;
        let Some(not_after) = self.open_until(open).await? else { return Ok(Repair::Overtaken) };
        tracing::warn!(plan = n, table = table.name(), %date, "rows of the plan differ; repairing");
        self.metrics.repairs.get_or_create(&RepairLabels { table: table.name() }).inc();
        self.execute("ALTER", &sql::delete_minutes(table, rows_plan, date, not_after)).await?;
        for (chunk, step) in data.steps() {
            // An erasure may have left none.
            if chunk.table == table && chunk.local_date == date && !chunk.range.is_empty() {
                let Some(not_after) = self.open_until(open).await? else { return Ok(Repair::Overtaken) };
                // A token that any repair of any loader used before would drop the rows.
                let token = format!("{}-r{:016x}", step.token, rand::random::<u64>());
                self.sender.send(&data.rows, chunk, rows_plan, &token, not_after).await?;
            }
        }
        Ok(Repair::Made)
    }

    async fn repair_hours(&self, open: &Plan, difference: &HourDifference) -> Result<Repair, VerifyError> {
        let &HourDifference { group, table, date, .. } = difference;
        let Some(not_after) = self.open_until(open).await? else { return Ok(Repair::Overtaken) };
        tracing::warn!(plan = open.n, table = table.name, %date, "hours differ from minutes; rebuilding");
        self.metrics.repairs.get_or_create(&RepairLabels { table: table.name }).inc();
        self.execute("ALTER", &sql::delete_hours(table, group, date, not_after)).await?;
        let Some(not_after) = self.open_until(open).await? else { return Ok(Repair::Overtaken) };
        self.execute("INSERT", &sql::rebuild_hours(table, group, date, not_after)).await?;
        Ok(Repair::Made)
    }

    /// Until when a statement may act; `None`: the plan is not open. First the time, then the question.
    ///
    /// # Errors
    /// When nobody knows whether the plan is open.
    pub async fn open_until(&self, open: &Plan) -> Result<Option<u32>, VerifyError> {
        let not_after = self.sender.not_after();
        Ok((!self.log.is_over(open).await?).then_some(not_after))
    }

    fn check_age(&self, group: u64, group_started_at_ms: u64, now_ms: u64) -> Result<(), VerifyError> {
        let days = now_ms.saturating_sub(group_started_at_ms) / (24 * 3_600_000);
        // Two days of grace for clocks and merges.
        if days + 2 >= u64::from(self.config.minute_ttl_days) {
            return Err(VerifyError::TooOld { group, days });
        }
        Ok(())
    }

    async fn execute(&self, what: &'static str, sql: &str) -> Result<(), WarehouseError> {
        self.config.within(what, self.client.query_raw(sql).execute()).await
    }
}
