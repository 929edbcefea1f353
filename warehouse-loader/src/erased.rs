//! What erasures leave of rows.
//!
//! In: the parts of plans that removed something, and rows of plans before them, or of plans to come. Out: the rows that may be
//! in the warehouse. A function of its input alone: whoever compares or repairs an earlier plan expects the same rows.
//! Invariant: what went never comes back, neither by a repair nor by a batch that was late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use batch::RollupRows;
use erasure::{JobId, What};

use crate::document::{Erase, LocalDate, Part, Plan};

/// A plan that removes something, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The plan.
    pub n: u64,
    /// When it was created, unix milliseconds.
    pub created_at_ms: u64,
    /// What it removes.
    pub erase: Erase,
    /// When it was seen to be done, monotonic milliseconds.
    pub done_at_ms: Option<u64>,
}

/// All that is remembered of erasures.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    carried: BTreeMap<u64, Carried>,
    deleted: Arc<BTreeSet<String>>,
}

impl Erased {
    /// What the store holds of it. Plans up to `last` are done; `now_ms` is monotonic.
    pub fn from_parts(parts: Vec<Part>, last: u64, now_ms: u64) -> Self {
        let mut erased = Self::default();
        for part in parts {
            let done_at_ms = (part.n <= last).then_some(now_ms);
            let Part { n, created_at_ms, erase, .. } = part;
            erased.insert(Carried { n, created_at_ms, erase, done_at_ms });
        }
        erased
    }

    /// A plan removes something from now on, unless it takes batches.
    pub fn on_run(&mut self, plan: &Plan) {
        if let Some(erase) = plan.erase.clone()
            && !self.carried.contains_key(&plan.n)
        {
            let (n, created_at_ms) = (plan.n, plan.created_at_ms);
            self.insert(Carried { n, created_at_ms, erase, done_at_ms: None });
        }
    }

    /// A plan is done. `now_ms` is monotonic.
    pub fn on_done(&mut self, plan: &Plan, now_ms: u64) {
        self.on_run(plan);
        if let Some(carried) = self.carried.get_mut(&plan.n) {
            carried.done_at_ms = Some(now_ms);
        }
    }

    fn insert(&mut self, carried: Carried) {
        if let What::Property { property_id } = &carried.erase.what {
            Arc::make_mut(&mut self.deleted).insert(property_id.clone());
        }
        self.carried.insert(carried.n, carried);
    }

    /// The plans that carry out a job, in order.
    pub fn plans_of(&self, job: &JobId) -> Vec<&Carried> {
        self.carried.values().filter(|carried| carried.erase.job == *job).collect()
    }

    /// Properties whose rows are left out of new plans.
    pub fn deleted(&self) -> &Arc<BTreeSet<String>> {
        &self.deleted
    }

    /// What was removed by plans after `n`, up to `open`.
    pub fn between(&self, n: u64, open: u64) -> Vec<&Erase> {
        if n >= open {
            return vec![];
        }
        self.carried.range(n + 1..=open).map(|(_, carried)| &carried.erase).collect()
    }

    /// Plans below `n` whose part is needed no more: none of a property that is deleted, nor of a job that is `open`.
    pub fn retired(&self, n: u64, open: &BTreeSet<JobId>) -> Vec<u64> {
        let goes = |carried: &&Carried| {
            !matches!(carried.erase.what, What::Property { .. }) && !open.contains(&carried.erase.job)
        };
        self.carried.range(..n).map(|(_, carried)| carried).filter(goes).map(|carried| carried.n).collect()
    }

    /// Forgets a plan whose part was deleted.
    pub fn forget(&mut self, n: u64) {
        self.carried.remove(&n);
    }
}

/// Rows that were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Hits in them.
    pub hits: u64,
    /// Whose they were.
    pub properties: BTreeSet<String>,
}

/// Removes the rows of properties.
pub fn leave_out(rows: &mut RollupRows, deleted: &BTreeSet<String>) -> LeftOut {
    let mut left_out = LeftOut::default();
    if deleted.is_empty() {
        return left_out;
    }
    let RollupRows { hits, sessions, values, items, refusals } = rows;
    let mut stays = |property: &str| {
        let goes = deleted.contains(property);
        if goes && !left_out.properties.contains(property) {
            left_out.properties.insert(property.to_owned());
        }
        !goes
    };
    let mut gone = 0_u64;
    hits.retain(|row| {
        let stays = stays(&row.key.property);
        gone = gone.saturating_add(if stays { 0 } else { row.events });
        stays
    });
    sessions.retain(|row| stays(&row.key.property));
    values.retain(|row| stays(&row.key.property));
    items.retain(|row| stays(&row.key.property));
    refusals.retain(|row| stays(&row.property));
    left_out.hits = gone;
    left_out
}

/// Removes from rows of an earlier plan what was removed since.
pub fn apply(rows: &mut RollupRows, erases: &[&Erase]) {
    let mut deleted: BTreeSet<&str> = BTreeSet::new();
    let mut before: BTreeMap<&str, LocalDate> = BTreeMap::new();
    let mut visitors: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for erase in erases {
        match &erase.what {
            What::Property { property_id } => {
                deleted.insert(property_id);
            }
            What::Visitors { property_id, visitor_ids } => {
                visitors.entry(property_id).or_default().extend(visitor_ids.iter().map(|id| id.0));
            }
            What::Retention { before: dates } => {
                for entry in dates {
                    let date = LocalDate::near(entry.date);
                    for id in &entry.property_ids {
                        let known = before.entry(id).or_insert(date);
                        *known = date.max(*known);
                    }
                }
            }
        }
    }
    let stays = |property: &str, date: u16| {
        !deleted.contains(property) && before.get(property).is_none_or(|before| LocalDate(date) >= *before)
    };
    rows.hits.retain(|row| stays(&row.key.property, row.key.local_date));
    rows.sessions.retain(|row| stays(&row.key.property, row.key.local_date));
    rows.values.retain(|row| stays(&row.key.property, row.key.local_date));
    rows.items.retain(|row| stays(&row.key.property, row.key.local_date));
    rows.refusals.retain(|row| stays(&row.property, row.local_date));
    for row in &mut rows.hits {
        if let Some(ids) = visitors.get(&*row.key.property) {
            row.visitors.retain(|id| !ids.contains(id));
            row.new_visitors.retain(|id| !ids.contains(id));
        }
    }
}

#[cfg(test)]
mod tests;
