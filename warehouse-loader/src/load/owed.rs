//! Plans that are done although their rows are in doubt: another loader finished them over an answer that was not clean
//! here, or while someone was repairing.
//!
//! In: such plans. Out: those to compare under the next plan that this loader runs itself: only under an open plan may
//! tables be changed. A plan stays until a comparison that began after the last statement about it had run out was equal.
//! Bounded: at the limit the oldest goes; its mark in the log brings it back with the next start.

use std::collections::BTreeMap;

use crate::document::Plan;

/// Plans remembered: more than are done in the minutes for which one stays.
const MAX_PLANS: usize = 1_000;

#[derive(Debug)]
struct Debt {
    plan: Plan,
    until_ms: u64,
}

/// The plans.
#[derive(Debug)]
pub(super) struct Owed {
    window_ms: u64,
    plans: BTreeMap<u64, Debt>,
}

impl Owed {
    /// None. `window_ms`: for how long a statement about a plan may act after the plan is done.
    pub(super) fn new(window_ms: u64) -> Self {
        Self { window_ms, plans: BTreeMap::new() }
    }

    /// A plan is in doubt. `now_ms` is monotonic.
    pub(super) fn add(&mut self, plan: Plan, now_ms: u64) {
        tracing::info!(
            plan = plan.n,
            "rows of a plan that is done are in doubt; they are compared with the next plan"
        );
        self.plans.insert(plan.n, Debt { plan, until_ms: now_ms.saturating_add(self.window_ms) });
        if self.plans.len() > MAX_PLANS
            && let Some((n, _)) = self.plans.pop_first()
        {
            tracing::error!(
                plan = n,
                limit = MAX_PLANS,
                "too many plans in doubt; restart this loader to compare this one"
            );
        }
    }

    /// The plans below `n`.
    pub(super) fn below(&self, n: u64) -> Vec<Plan> {
        self.plans.range(..n).map(|(_, debt)| debt.plan.clone()).collect()
    }

    /// A plan cannot be compared any more.
    pub(super) fn forget(&mut self, n: u64) {
        self.plans.remove(&n);
    }

    /// The plans below `n` were found right by a comparison that began at `since_ms` (monotonic).
    pub(super) fn on_equal(&mut self, n: u64, since_ms: u64) {
        self.plans.retain(|number, debt| *number >= n || since_ms < debt.until_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::FORMAT;

    fn plan(n: u64) -> Plan {
        Plan {
            format: FORMAT,
            shard: 0,
            n,
            created_by: "a".into(),
            created_at_ms: 0,
            rows_plan: n,
            group_started_at_ms: 0,
            takes: vec![],
            skips: vec![],
            inserts: vec![],
            without: vec![],
            erase: None,
        }
    }

    fn numbers(owed: &Owed, n: u64) -> Vec<u64> {
        owed.below(n).iter().map(|plan| plan.n).collect()
    }

    #[test]
    fn a_plan_in_doubt_is_compared_until_no_statement_about_it_can_act() {
        let mut owed = Owed::new(100);
        owed.add(plan(3), 0);
        owed.add(plan(5), 50);
        assert_eq!((numbers(&owed, 3), numbers(&owed, 4), numbers(&owed, 9)), (vec![], vec![3], vec![3, 5]));
        owed.on_equal(9, 99);
        assert_eq!(numbers(&owed, 9), [3, 5], "statements may still act");
        owed.on_equal(9, 100);
        assert_eq!(numbers(&owed, 9), [5]);
        owed.on_equal(5, 150);
        assert_eq!(numbers(&owed, 9), [5], "it was not compared");
        owed.add(plan(5), 140);
        owed.on_equal(9, 150);
        assert_eq!(numbers(&owed, 9), [5], "doubt came up again");
    }

    #[test]
    fn at_the_limit_the_oldest_goes() {
        let mut owed = Owed::new(100);
        let limit = u64::try_from(MAX_PLANS).unwrap();
        for n in 1..=limit + 2 {
            owed.add(plan(n), 0);
        }
        assert_eq!((owed.below(u64::MAX).len(), owed.below(4).len()), (MAX_PLANS, 1));
    }
}
