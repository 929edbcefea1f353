//! The statements of comparison and repair.
//!
//! In: tables, a plan's number in rows or its group, dates; all of them numbers and names of our own, so they stand in the
//! text. Out: SQL. The fingerprint is a sum over rows of hash(key) × count, so it does not depend on how rows are merged.

use warehouse::tables::{HOURLY, HourlyTable, MinuteTable};

use super::group_range;
use crate::document::LocalDate;

/// Statements that may still change the tables: running ones, and mutations that go on after a restart.
/// A scalar subquery is Nullable to ClickHouse, whatever it selects; the count is never NULL.
pub(super) fn running() -> String {
    let minutes = MinuteTable::ALL.map(MinuteTable::name);
    let tables: Vec<_> = minutes.into_iter().chain(HOURLY.map(|table| table.name)).collect();
    format!(
        "SELECT assumeNotNull(\
         (SELECT count() FROM system.processes WHERE query_kind IN ('Insert', 'Alter') \
          AND match(query, '{}') AND current_database = currentDatabase()) \
         + (SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done))",
        tables.join("|")
    )
}

pub(super) fn minute_counts(table: MinuteTable, rows_plans: &[u64], dates: &[LocalDate]) -> String {
    format!(
        "SELECT plan, local_date, count() AS rows, sum({count}) AS hits FROM {table} \
         WHERE plan IN ({plans}) AND local_date IN ({dates}) GROUP BY plan, local_date",
        count = table.count_column(),
        table = table.name(),
        plans = rows_plans.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        dates = list(dates)
    )
}

pub(super) fn sums_of_minutes(table: &HourlyTable, group: u64, dates: &[LocalDate]) -> String {
    let hour = "toStartOfHour(minute + toIntervalSecond(utc_offset_s))";
    let (first, end) = group_range(group);
    let condition = format!("plan >= {first} AND plan < {end}");
    sums(table, table.source.name(), hour, &condition, dates)
}

pub(super) fn sums_of_hours(table: &HourlyTable, group: u64, dates: &[LocalDate]) -> String {
    sums(table, table.name, "local_hour", &format!("plan_group = {group}"), dates)
}

fn sums(table: &HourlyTable, from: &str, hour: &str, condition: &str, dates: &[LocalDate]) -> String {
    let key: Vec<&str> = table
        .key
        .iter()
        .copied()
        .filter(|column| *column != "plan_group")
        .map(|column| if column == "local_hour" { hour } else { column })
        .collect();
    let sums: Vec<String> = table.sums.iter().map(|column| format!("sum({column})")).collect();
    format!(
        "SELECT local_date, [{sums}, sum(cityHash64({key}) * {count})] AS sums FROM {from} \
         WHERE {condition} AND local_date IN ({dates}) GROUP BY local_date",
        sums = sums.join(", "),
        key = key.join(", "),
        count = table.source.count_column(),
        dates = list(dates)
    )
}

/// A statement that reaches the server after `not_after` (unix seconds) changes nothing.
fn in_time(not_after: u32) -> String {
    format!("now() <= toDateTime({not_after})")
}

/// Waits for the mutation, and computes `now()` once, where the statement arrives: replicas must not come to different ends.
const MUTATION: &str = "SETTINGS mutations_sync = 2, mutations_execute_nondeterministic_on_initiator = 1";

pub(super) fn delete_minutes(table: MinuteTable, rows_plan: u64, date: LocalDate, not_after: u32) -> String {
    format!(
        "ALTER TABLE {} DELETE IN PARTITION '{date}' WHERE plan = {rows_plan} AND {} {MUTATION}",
        table.name(),
        in_time(not_after)
    )
}

pub(super) fn delete_hours(table: &HourlyTable, group: u64, date: LocalDate, not_after: u32) -> String {
    format!(
        "ALTER TABLE {} DELETE IN PARTITION {} WHERE plan_group = {group} AND local_date = '{date}' AND {} {MUTATION}",
        table.name,
        date.month(),
        in_time(not_after)
    )
}

/// No deduplication: the rows before it were deleted, and comparing again finds whatever went wrong.
pub(super) fn rebuild_hours(table: &HourlyTable, group: u64, date: LocalDate, not_after: u32) -> String {
    let (first, end) = group_range(group);
    let in_time = in_time(not_after);
    let condition = format!("plan >= {first} AND plan < {end} AND local_date = '{date}' AND {in_time}");
    let select = table.select_where(&condition);
    let columns: Vec<&str> = table.columns().collect();
    format!(
        "INSERT INTO {} ({}) SETTINGS insert_deduplicate = 0, async_insert = 0 {select}",
        table.name,
        columns.join(", ")
    )
}

fn list(dates: &[LocalDate]) -> String {
    dates.iter().map(|date| format!("'{date}'")).collect::<Vec<_>>().join(", ")
}
