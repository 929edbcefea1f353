//! Rows with one thing in each: what an erasure takes of them, and that it takes nothing else.

use batch::{HitRow, ItemRow, RefusalRow, RowKey, SessionRow, ValueRow};
use erasure::{Before, VisitorId};

use super::*;
use crate::document::FORMAT;

fn key(property: &str, date: u16) -> RowKey {
    RowKey { property: property.into(), local_date: date, ..RowKey::default() }
}

/// A row in each table for each of two properties and two dates.
fn rows() -> RollupRows {
    let mut rows = RollupRows::default();
    for (property, date, events) in [("p_a", 10, 1), ("p_a", 11, 2), ("p_b", 10, 4), ("p_b", 11, 8)] {
        let key = key(property, date);
        let hit = HitRow { events, visitors: vec![1, 2, 3], new_visitors: vec![2], ..HitRow::default() };
        rows.hits.push(HitRow { key: key.clone(), ..hit });
        rows.sessions.push(SessionRow { key: key.clone(), ..SessionRow::default() });
        rows.values.push(ValueRow { key: key.clone(), ..ValueRow::default() });
        rows.items.push(ItemRow { key: key.clone(), ..ItemRow::default() });
        rows.refusals.push(RefusalRow { property: key.property, local_date: date, ..RefusalRow::default() });
    }
    rows
}

fn erase(what: What) -> Erase {
    Erase { job: JobId::new(1, 1), requested_at_ms: 1, what }
}

fn property(id: &str) -> Erase {
    erase(What::Property { property_id: id.into() })
}

fn retention(dates: &[(i16, i8, i8, &str)]) -> Erase {
    let entry = |&(year, month, day, id): &(i16, i8, i8, &str)| Before {
        date: jiff::civil::date(year, month, day),
        property_ids: vec![id.into()],
    };
    erase(What::Retention { before: dates.iter().map(entry).collect() })
}

/// Property and date of the rows of each table.
fn left(rows: &RollupRows) -> [Vec<(String, u16)>; 5] {
    let of = |key: &RowKey| (key.property.to_string(), key.local_date);
    [
        rows.hits.iter().map(|row| of(&row.key)).collect(),
        rows.sessions.iter().map(|row| of(&row.key)).collect(),
        rows.values.iter().map(|row| of(&row.key)).collect(),
        rows.items.iter().map(|row| of(&row.key)).collect(),
        rows.refusals.iter().map(|row| (row.property.to_string(), row.local_date)).collect(),
    ]
}

#[test]
fn rows_of_a_property_or_of_before_a_date_go_from_every_table() {
    // 1970-01-12 is day 11.
    for (erase, expected) in [
        (property("p_a"), vec![("p_b", 10), ("p_b", 11)]),
        (property("p_"), vec![("p_a", 10), ("p_a", 11), ("p_b", 10), ("p_b", 11)]),
        (retention(&[(1970, 1, 12, "p_b")]), vec![("p_a", 10), ("p_a", 11), ("p_b", 11)]),
        (retention(&[(1970, 1, 13, "p_b")]), vec![("p_a", 10), ("p_a", 11)]),
        // The later of two dates.
        (retention(&[(1970, 1, 13, "p_a"), (1970, 1, 12, "p_a")]), vec![("p_b", 10), ("p_b", 11)]),
        (retention(&[(1969, 1, 1, "p_a")]), vec![("p_a", 10), ("p_a", 11), ("p_b", 10), ("p_b", 11)]),
        (retention(&[(2500, 1, 1, "p_a")]), vec![("p_b", 10), ("p_b", 11)]),
    ] {
        let mut rows = rows();
        apply(&mut rows, &[&erase]);
        let expected: Vec<_> = expected.into_iter().map(|(id, date)| (id.to_owned(), date)).collect();
        assert_eq!(left(&rows), std::array::from_fn(|_| expected.clone()), "{erase:?}");
        assert!(rows.hits.iter().all(|row| row.visitors == [1, 2, 3] && row.new_visitors == [2]));
    }
}

#[test]
fn visitors_go_from_the_sets_of_their_property_and_no_row_goes() {
    let visitors = |ids: &[u64]| {
        let visitor_ids = ids.iter().map(|id| VisitorId(*id)).collect();
        erase(What::Visitors { property_id: "p_a".into(), visitor_ids })
    };
    let mut found = rows();
    apply(&mut found, &[&visitors(&[2]), &visitors(&[3, 9])]);
    let mut expected = rows();
    for row in expected.hits.iter_mut().filter(|row| &*row.key.property == "p_a") {
        (row.visitors, row.new_visitors) = (vec![1], vec![]);
    }
    assert_eq!(found, expected);
}

#[test]
fn what_is_left_out_is_counted() {
    let mut found = rows();
    let deleted = BTreeSet::from(["p_a".to_owned(), "p_c".to_owned()]);
    let left_out = leave_out(&mut found, &deleted);
    assert_eq!(left_out, LeftOut { hits: 3, properties: BTreeSet::from(["p_a".to_owned()]) });
    let mut expected = rows();
    apply(&mut expected, &[&property("p_a")]);
    assert_eq!(found, expected);
    assert_eq!(leave_out(&mut found, &deleted), LeftOut::default(), "again");
}

#[test]
fn plans_after_one_and_up_to_the_open_one_have_changed_its_rows() {
    let part = |n, erase| Part {
        format: FORMAT,
        shard: 0,
        n,
        rows_plan: n,
        created_at_ms: 0,
        erase,
        hours: vec![],
        held: vec![],
    };
    let parts = vec![part(3, property("p_a")), part(5, retention(&[(1970, 1, 12, "p_b")]))];
    let mut erased = Erased::from_parts(parts, 4, 0);
    let count = |n, open| erased.between(n, open).len();
    assert_eq!(
        [count(2, 9), count(3, 9), count(2, 4), count(5, 9), count(9, 9), count(2, 2)],
        [2, 1, 1, 0, 0, 0]
    );
    let done: Vec<_> = erased.plans_of(&JobId::new(1, 1)).iter().map(|plan| plan.done_at_ms).collect();
    assert_eq!(done, [Some(0), None]);
    assert_eq!(**erased.deleted(), BTreeSet::from(["p_a".to_owned()]));
    let open = BTreeSet::from([JobId::new(1, 1)]);
    assert_eq!(erased.retired(9, &open), Vec::<u64>::new(), "its job is open");
    assert_eq!(erased.retired(5, &BTreeSet::new()), Vec::<u64>::new(), "plans before it are kept");
    assert_eq!(erased.retired(6, &BTreeSet::new()), [5], "a deleted property stays");
    erased.forget(5);
    assert_eq!(erased.between(2, 9).len(), 1);
}
