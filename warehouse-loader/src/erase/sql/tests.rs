//! The shape of statements; that they do what they say is tested on the engine.

use erasure::JobId;

use super::*;
use crate::document::FORMAT;

fn part(what: What, hours: Vec<GroupDate>) -> Part {
    Part {
        format: FORMAT,
        shard: 0,
        n: 3,
        rows_plan: 8_200,
        created_at_ms: 0,
        erase: Erase { job: JobId::new(1, 1), requested_at_ms: 60_000, what },
        hours,
        held: vec![],
    }
}

#[test]
fn a_property_goes_from_every_table_at_any_time_and_the_rest_of_before_the_plan() {
    let property = part(What::Property { property_id: "p_a".into() }, vec![]);
    let found: Vec<_> = removals(&property).iter().map(|removal| removal.table).collect();
    assert_eq!(found.len(), 11);
    assert_eq!(
        removals(&property)[0].statement(7),
        "ALTER TABLE hit_rollup DELETE WHERE property = 'p_a' AND now() <= toDateTime(7) \
         SETTINGS mutations_sync = 2, mutations_execute_nondeterministic_on_initiator = 1"
    );
    let before = |ids: usize| Before {
        date: jiff::civil::date(2025, 1, 1),
        property_ids: (0..ids).map(|at| format!("p_{at:062}")).collect(),
    };
    let past = part(What::Retention { before: vec![before(2), before(4_001)] }, vec![]);
    let found = removals(&past);
    assert_eq!(found.len(), 11 * (1 + 3));
    assert!(
        found[0].count().ends_with("AND plan < 8200") && found[5].count().ends_with("AND plan_group <= 2")
    );
    assert!(found.iter().all(|removal| removal.statement(u32::MAX).len() < 200 * 1024));
    let mut names: Vec<_> = found.iter().map(|removal| (removal.table, &removal.what)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 11 * 4, "{names:?}");
}

#[test]
fn visitors_go_from_sets_and_hours_are_rebuilt_by_month() {
    let what =
        What::Visitors { property_id: "p_a".into(), visitor_ids: vec![VisitorId(1), VisitorId(u64::MAX)] };
    let hours = [(1, 16_572), (1, 16_573), (2, 16_590)]
        .map(|(group, date)| GroupDate { group, date: LocalDate(date) });
    let part = part(what, hours.to_vec());
    let found = removals(&part);
    assert_eq!(found.len(), 1);
    assert!(found[0].statement(7).starts_with(
        "ALTER TABLE hit_rollup UPDATE visitors = arrayFilter(id -> id NOT IN (1, 18446744073709551615), visitors), \
         new_visitors = "
    ));
    let rebuilt: Vec<_> =
        rebuilds(&part).iter().map(|rebuild| (rebuild.table.name, rebuild.month.clone())).collect();
    let expected = [
        ("hit_hourly", "201505"),
        ("hit_hourly", "201506"),
        ("total_hourly", "201505"),
        ("total_hourly", "201506"),
    ];
    assert_eq!(rebuilt, expected.map(|(table, month)| (table, month.to_owned())));
    assert!(
        rebuilds(&part)[0].of_hours().ends_with("IN ((1, toDate('2015-05-17')), (1, toDate('2015-05-18')))")
    );
}
