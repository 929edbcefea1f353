//! Plans of several tables and dates, sent one after the other, and what the tables must hold.

use batch::{RollupRows, SessionRow};

use crate::engine::{Engine, Store};
use crate::support::{BASE_MINUTE, Edge, Sums, hit_row, key, put_segment};

/// INSERTs of hits in a plan: one for each date.
pub(crate) const HIT_INSERTS: usize = 3;
/// INSERTs of sessions.
pub(crate) const SESSION_INSERTS: usize = 2;
/// Parts that a plan writes into tables that remember tokens: the minute table's, and one for each view.
pub(crate) const PARTS: usize = HIT_INSERTS * 3 + SESSION_INSERTS * 2;

fn rows_of_a_plan(number: u64) -> RollupRows {
    // 2015-05-30, 2015-05-31, 2015-06-01.
    const DAYS: [u32; 3] = [13, 14, 15];
    let mut rows = RollupRows::default();
    for (at, day) in (0..).zip(DAYS) {
        for minute in [1, 2, 61, 700] {
            let property = format!("p_{}", minute % 3);
            let key = key(&property, BASE_MINUTE + day * 1440 + minute, 0, &format!("/{}", number % 7));
            rows.hits.push(hit_row(key.clone(), 1 + number % 3, vec![number * 10 + at]));
            if day != DAYS[0] {
                rows.sessions.push(SessionRow {
                    key,
                    exit_page: "/out".into(),
                    sessions: 1,
                    engaged_sessions: number % 2,
                    page_views: 2,
                    events: 3,
                    duration_ms: 100 + number,
                });
            }
        }
    }
    rows.normalize();
    rows
}

/// What is sent, one plan after the other, and what the tables must hold.
pub(crate) struct Sent {
    pub(crate) store: Store,
    pub(crate) edge: Edge,
    pub(crate) sums: Sums,
    plans: u32,
}

impl Sent {
    pub(crate) fn new() -> Self {
        Self { store: Store::new(), edge: Edge::new("edge-1"), sums: Sums::default(), plans: 0 }
    }

    /// The next plan's rows, in a segment.
    pub(crate) async fn put(&mut self) {
        self.plans += 1;
        let rows = rows_of_a_plan(u64::from(self.plans));
        self.sums.add(&rows);
        put_segment(&self.store.objects, self.plans, &[self.edge.batch(&rows)]).await;
    }

    pub(crate) async fn assert_held(&self, engine: &Engine) {
        engine.assert_holds(&self.sums).await;
        engine.assert_hours_are_those_of_minutes().await;
        let position = engine.number("(SELECT sum(position) FROM watermark FINAL)").await;
        assert_eq!(position, self.edge.position, "watermark");
    }
}
