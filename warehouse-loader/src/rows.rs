//! The rows of a plan, cut into INSERTs: one table, one local date, at most so many rows each.
//!
//! In: rows of all batches of the plan. Out: the same rows merged over equal keys, ordered by (date, slot, key), and the
//! ranges that one INSERT carries. A function of its input alone, so that whoever runs a plan sends the same blocks.

use std::ops::Range;
use std::sync::Arc;

use batch::RollupRows;
use warehouse::tables::MinuteTable;

use crate::document::{Erase, InsertStep, LocalDate, Plan};
use crate::erased::apply;

/// Merged rows, ordered by date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanRows {
    rows: RollupRows,
}

/// The rows of one INSERT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which table.
    pub table: MinuteTable,
    /// Date of every row.
    pub local_date: LocalDate,
    /// Counts the chunks of this table and date from 0.
    pub chunk: u32,
    /// Which of the table's rows.
    pub range: Range<usize>,
    /// Sum of the table's count column.
    pub hits: u64,
}

/// A plan with all that its INSERTs carry.
#[derive(Debug, Clone)]
pub struct PlanData {
    /// The plan.
    pub plan: Plan,
    /// Its rows.
    pub rows: Arc<PlanRows>,
    /// One for each of its INSERTs.
    pub chunks: Vec<Chunk>,
}

impl PlanData {
    /// Cuts the rows as the plan names them.
    ///
    /// # Errors
    /// When these rows are not the ones the plan was made from, or were merged by other rules.
    pub fn new(plan: Plan, rows: Arc<PlanRows>) -> Result<Self, MismatchError> {
        let chunks = rows.chunks_as(&plan.inserts)?;
        Ok(Self { plan, rows, chunks })
    }

    /// What is left of it after erasures, with the INSERTs that carry it; a table and date of which nothing is left stays named.
    #[must_use]
    pub fn without(&self, erases: &[&Erase], max_rows: usize) -> Self {
        let mut left = self.rows.rows().clone();
        apply(&mut left, erases);
        let rows = PlanRows::new(left);
        let hash =
            self.plan.inserts.first().map_or("", |step| step.token.split('-').next().unwrap_or_default());
        let cut = rows.chunks(max_rows);
        let mut inserts: Vec<InsertStep> = cut.iter().map(|chunk| chunk.step(hash)).collect();
        let mut chunks = cut;
        for step in &self.plan.inserts {
            let is_there = |kept: &InsertStep| kept.table == step.table && kept.local_date == step.local_date;
            if let Some(chunk) = self
                .chunks
                .iter()
                .find(|chunk| chunk.table.name() == step.table && chunk.local_date == step.local_date)
                && !inserts.iter().any(is_there)
            {
                inserts.push(InsertStep { chunk: 0, rows: 0, hits: 0, ..step.clone() });
                chunks.push(Chunk { chunk: 0, range: 0..0, hits: 0, ..chunk.clone() });
            }
        }
        Self { plan: Plan { inserts, ..self.plan.clone() }, rows: Arc::new(rows), chunks }
    }

    /// The INSERTs with what they carry, in the order in which they are sent.
    pub fn steps(&self) -> impl Iterator<Item = (&Chunk, &InsertStep)> {
        self.chunks.iter().zip(&self.plan.inserts)
    }
}

impl Chunk {
    /// The step of a plan that sends this chunk; `hash` is that of the plan's takes and skips.
    pub fn step(&self, hash: &str) -> InsertStep {
        let table = self.table.name();
        InsertStep {
            table: table.to_owned(),
            local_date: self.local_date,
            chunk: self.chunk,
            rows: u64::try_from(self.range.len()).unwrap_or(u64::MAX),
            hits: self.hits,
            token: format!("{hash}-{table}-{}-{}", self.local_date, self.chunk),
        }
    }
}

impl PlanRows {
    /// Merges and orders.
    pub fn new(mut rows: RollupRows) -> Self {
        rows.normalize();
        rows.hits.sort_by_key(|row| row.key.local_date);
        rows.sessions.sort_by_key(|row| row.key.local_date);
        rows.values.sort_by_key(|row| row.key.local_date);
        rows.items.sort_by_key(|row| row.key.local_date);
        rows.refusals.sort_by_key(|row| row.local_date);
        Self { rows }
    }

    /// The rows.
    pub fn rows(&self) -> &RollupRows {
        &self.rows
    }

    /// The INSERTs of at most `max_rows` rows, in the order in which a plan sends them.
    pub fn chunks(&self, max_rows: usize) -> Vec<Chunk> {
        let hits =
            cut(MinuteTable::HitRollup, &self.rows.hits, max_rows, |row| (row.key.local_date, row.events));
        let sessions = cut(MinuteTable::SessionRollup, &self.rows.sessions, max_rows, |row| {
            (row.key.local_date, row.sessions)
        });
        let values =
            cut(MinuteTable::ValueRollup, &self.rows.values, max_rows, |row| (row.key.local_date, row.count));
        let items =
            cut(MinuteTable::ItemRollup, &self.rows.items, max_rows, |row| (row.key.local_date, row.lines));
        let refusals =
            cut(MinuteTable::RefusalRollup, &self.rows.refusals, max_rows, |row| (row.local_date, row.hits));
        hits.into_iter().chain(sessions).chain(values).chain(items).chain(refusals).collect()
    }

    /// The INSERTs that a plan names.
    ///
    /// # Errors
    /// When these rows are not the ones the plan was made from, or were merged by other rules.
    pub fn chunks_as(&self, steps: &[InsertStep]) -> Result<Vec<Chunk>, MismatchError> {
        let mut chunks: Vec<Chunk> = Vec::with_capacity(steps.len());
        let mut next = [0_usize; MinuteTable::ALL.len()];
        for step in steps {
            let mismatch = || MismatchError { step: step.token.clone() };
            let table =
                MinuteTable::ALL.into_iter().find(|table| table.name() == step.table).ok_or_else(mismatch)?;
            let start = next.get_mut(table as usize).ok_or_else(mismatch)?;
            let end = usize::try_from(step.rows)
                .ok()
                .and_then(|rows| start.checked_add(rows))
                .ok_or_else(mismatch)?;
            let range = *start..end;
            *start = end;
            if self.sum(table, range.clone(), step.local_date) != Some(step.hits) {
                return Err(mismatch());
            }
            chunks.push(Chunk {
                table,
                local_date: step.local_date,
                chunk: step.chunk,
                range,
                hits: step.hits,
            });
        }
        let RollupRows { hits, sessions, values, items, refusals } = &self.rows;
        if next != [hits.len(), sessions.len(), values.len(), items.len(), refusals.len()] {
            return Err(MismatchError { step: "(rows are left over)".to_owned() });
        }
        Ok(chunks)
    }

    /// The sum of a table's count column over these rows, if they are there and all of this date.
    fn sum(&self, table: MinuteTable, range: Range<usize>, date: LocalDate) -> Option<u64> {
        let RollupRows { hits, sessions, values, items, refusals } = &self.rows;
        match table {
            MinuteTable::HitRollup => sum(hits.get(range), date, |row| (row.key.local_date, row.events)),
            MinuteTable::SessionRollup => {
                sum(sessions.get(range), date, |row| (row.key.local_date, row.sessions))
            }
            MinuteTable::ValueRollup => sum(values.get(range), date, |row| (row.key.local_date, row.count)),
            MinuteTable::ItemRollup => sum(items.get(range), date, |row| (row.key.local_date, row.lines)),
            MinuteTable::RefusalRollup => sum(refusals.get(range), date, |row| (row.local_date, row.hits)),
        }
    }
}

/// A plan's figures are not those of its rows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rows of the plan's batches do not give its INSERT {step}: it was made by a build with other rules"
)]
pub struct MismatchError {
    step: String,
}

/// The sum of the counts, if the rows are there and all of this date.
fn sum<T>(rows: Option<&[T]>, date: LocalDate, of: impl Fn(&T) -> (u16, u64)) -> Option<u64> {
    let rows = rows?;
    let same = rows.iter().all(|row| of(row).0 == date.0);
    same.then(|| rows.iter().fold(0_u64, |sum, row| sum.saturating_add(of(row).1)))
}

fn cut<T>(table: MinuteTable, rows: &[T], max_rows: usize, of: impl Fn(&T) -> (u16, u64)) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let (date, count) = of(row);
        let date = LocalDate(date);
        let next = match chunks.last_mut() {
            Some(last) if last.local_date == date && last.range.len() < max_rows => {
                last.range.end = at + 1;
                last.hits = last.hits.saturating_add(count);
                continue;
            }
            Some(last) if last.local_date == date => last.chunk + 1,
            _ => 0,
        };
        chunks.push(Chunk { table, local_date: date, chunk: next, range: at..at + 1, hits: count });
    }
    chunks
}

#[cfg(test)]
mod tests {
    use batch::{HitRow, RowKey};

    use super::*;

    fn row(date: u16, page: &str, events: u64) -> HitRow {
        HitRow {
            key: RowKey {
                property: "p".into(),
                local_date: date,
                minute: u32::from(date) * 1440,
                utc_offset_s: 0,
                traffic_class: "human".into(),
                page_path: page.into(),
                ..RowKey::default()
            },
            event_name: "page_view".into(),
            page_views: events,
            events,
            visitors: vec![1],
            ..HitRow::default()
        }
    }

    #[test]
    fn chunks_hold_one_date_and_no_more_rows_than_allowed() {
        let hits = vec![row(2, "/b", 1), row(1, "/a", 2), row(2, "/a", 4), row(2, "/c", 8), row(1, "/a", 16)];
        let rows = PlanRows::new(RollupRows { hits, ..RollupRows::default() });
        let cut: Vec<_> =
            rows.chunks(2).iter().map(|c| (c.local_date.0, c.chunk, c.range.clone(), c.hits)).collect();
        assert_eq!(cut, [(1, 0, 0..1, 18), (2, 0, 1..3, 5), (2, 1, 3..4, 8)]);
        assert_eq!(rows.chunks(2)[1].step("h").token, "h-hit_rollup-1970-01-03-0");
        let mut steps: Vec<_> = rows.chunks(2).iter().map(|chunk| chunk.step("h")).collect();
        assert_eq!(rows.chunks_as(&steps), Ok(rows.chunks(2)));
        steps[1].hits += 1;
        assert!(rows.chunks_as(&steps).is_err());
        assert!(rows.chunks_as(&steps[..1]).is_err(), "rows are left over");
    }

    #[test]
    fn a_date_of_which_nothing_is_left_is_still_named() {
        let hits = vec![row(1, "/a", 1), row(1, "/b", 2), row(2, "/a", 4), row(2, "/b", 8)];
        let rows = PlanRows::new(RollupRows { hits, ..RollupRows::default() });
        let plan = Plan {
            format: 1,
            shard: 0,
            n: 1,
            created_by: "a".into(),
            created_at_ms: 0,
            rows_plan: 1,
            group_started_at_ms: 0,
            takes: vec![],
            skips: vec![],
            inserts: rows.chunks(1).iter().map(|chunk| chunk.step("h")).collect(),
            without: vec![],
            erase: None,
        };
        let before = erasure::Before { date: jiff::civil::date(1970, 1, 3), property_ids: vec!["p".into()] };
        let what = erasure::What::Retention { before: vec![before] };
        let erase = Erase { job: erasure::JobId::new(1, 1), requested_at_ms: 1, what };
        let left = PlanData::new(plan, Arc::new(rows)).unwrap().without(&[&erase], 2);
        let named: Vec<_> =
            left.plan.inserts.iter().map(|step| (step.local_date.0, step.rows, step.hits)).collect();
        assert_eq!(named, [(2, 2, 12), (1, 0, 0)]);
        let again = PlanData::new(left.plan.clone(), Arc::clone(&left.rows)).unwrap();
        for data in [&again, &left] {
            let carried: Vec<_> =
                data.chunks.iter().map(|chunk| (chunk.local_date.0, chunk.range.len(), chunk.hits)).collect();
            assert_eq!(carried, [(2, 2, 12), (1, 0, 0)]);
        }
        assert_eq!(left.rows.rows().len(), 2);
    }
}
