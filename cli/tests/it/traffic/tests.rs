//! Examples that the tests of counting and comparing share.

use super::Expected;
use super::expected::Window;
use super::workload::{HitOf, Request};

/// A click and a page view of one client, at noon of 2026-03-01.
pub(super) fn count_two_hits(expected: &mut Expected) {
    let hit = |id: &str, event| HitOf { id: id.to_owned(), client: "a".to_owned(), event, age_ms: 0 };
    let request = Request {
        site: 0,
        edge: 0,
        is_bot: false,
        hits: vec![hit("1", "click"), hit("2", "page_view")],
        has_first_twice: false,
        is_sent_again: false,
    };
    let noon = Window { from_ms: 1_772_366_400_000, to_ms: 1_772_366_400_100 };
    expected.count(&request, 0, false, noon, 0);
}
