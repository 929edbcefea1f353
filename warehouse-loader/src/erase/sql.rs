//! The statements of erasures.
//!
//! In: the part of a plan; property ids, visitor ids and dates in it were checked to stand in a text. Out: SQL. Each statement
//! that changes rows names a time after which it changes none, and is a no-op when it is repeated.

use std::collections::BTreeMap;

use erasure::{Before, VisitorId, What};
use warehouse::tables::{HOURLY, HourlyTable, MinuteTable, PLANS_PER_GROUP};

use crate::document::{Erase, GroupDate, LocalDate, Part};

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 24 * 3_600_000;
/// A group of plans lasts no longer.
pub(super) const MAX_GROUP_DAYS: u64 = 7;
/// Properties that one statement names: it stays below ClickHouse's limit for the text of a query, 256 KiB.
const IDS_PER_STATEMENT: usize = 2_000;
/// Groups and dates that one statement names.
const HOURS_PER_STATEMENT: usize = 1_000;

/// Waits for the mutation, and computes `now()` once, where the statement arrives: replicas must not come to different ends.
const MUTATION: &str = "SETTINGS mutations_sync = 2, mutations_execute_nondeterministic_on_initiator = 1";

/// What is done to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The table.
    pub table: &'static str,
    /// What is done, for people.
    pub what: String,
    condition: String,
    /// Columns of visitor ids and the ids that go from them; none: rows go.
    strip: Option<(&'static [&'static str], String)>,
}

impl Removal {
    /// Counts its rows.
    pub(super) fn count(&self) -> String {
        format!("SELECT count() FROM {} WHERE {}", self.table, self.condition)
    }

    /// Removes, unless it reaches the server after `not_after` (unix seconds).
    pub fn statement(&self, not_after: u32) -> String {
        let change = match &self.strip {
            None => "DELETE".to_owned(),
            Some((columns, ids)) => {
                let strip =
                    |column: &&str| format!("{column} = arrayFilter(id -> id NOT IN ({ids}), {column})");
                format!("UPDATE {}", columns.iter().map(strip).collect::<Vec<_>>().join(", "))
            }
        };
        format!(
            "ALTER TABLE {} {change} WHERE {} AND now() <= toDateTime({not_after}) {MUTATION}",
            self.table, self.condition
        )
    }
}

/// The removals of a part, in order.
pub fn removals(part: &Part) -> Vec<Removal> {
    let delete =
        |table, what: &str, condition| Removal { table, what: what.to_owned(), condition, strip: None };
    match &part.erase.what {
        What::Property { property_id } => {
            let condition = format!("property = '{property_id}'");
            tables().map(|table| delete(table, "delete the property", condition.clone())).collect()
        }
        What::Visitors { property_id, visitor_ids } => {
            let forget = |table: MinuteTable| {
                let columns = table.visitor_columns();
                let condition = visitors(property_id, visitor_ids, columns);
                Removal {
                    table: table.name(),
                    what: "forget visitors".to_owned(),
                    condition: format!("{condition} AND plan < {}", part.rows_plan),
                    strip: Some((columns, ids(visitor_ids))),
                }
            };
            with_visitors().map(forget).collect()
        }
        What::Retention { before } => {
            let mut all = Vec::new();
            for (what, condition) in before.iter().flat_map(past) {
                for table in MinuteTable::ALL {
                    let condition = format!("{condition} AND plan < {}", part.rows_plan);
                    all.push(delete(table.name(), &what, condition));
                }
                for table in HOURLY {
                    let condition = format!("{condition} AND plan_group <= {}", group_of(part));
                    all.push(delete(table.name, &what, condition));
                }
            }
            all
        }
    }
}

/// Counts of minute rows that are to have gone.
pub(super) fn left(erase: &Erase, rows_plan: u64) -> Vec<String> {
    let count = |table: MinuteTable, condition: &str| {
        format!("SELECT count() FROM {} WHERE {condition}", table.name())
    };
    let all = |condition: String| MinuteTable::ALL.map(|table| count(table, &condition)).to_vec();
    match &erase.what {
        What::Property { property_id } => all(format!("property = '{property_id}'")),
        What::Visitors { property_id, visitor_ids } => {
            // The instant of a row lies before that of its receipt: a late batch is found whatever plan took it.
            let requested_s = erase.requested_at_ms / 1_000;
            let earlier = format!("(plan < {rows_plan} OR minute + 60 < toDateTime({requested_s}))");
            let of = |table: MinuteTable| {
                let condition = visitors(property_id, visitor_ids, table.visitor_columns());
                count(table, &format!("{condition} AND {earlier}"))
            };
            with_visitors().map(of).collect()
        }
        What::Retention { before } => before
            .iter()
            .flat_map(past)
            .flat_map(|(_, condition)| all(format!("{condition} AND plan < {rows_plan}")))
            .collect(),
    }
}

/// Property and condition of the rows with visitors that go from plans before `rows_plan`.
pub(super) fn visitors_condition(erase: &Erase, rows_plan: u64) -> Option<(&str, String)> {
    let What::Visitors { property_id, visitor_ids } = &erase.what else { return None };
    let condition = visitors(property_id, visitor_ids, MinuteTable::HitRollup.visitor_columns());
    Some((property_id, format!("{condition} AND plan < {rows_plan}")))
}

/// The first group of plans whose minute rows are all there: none of them is older than `since_s` and a group's length.
pub(super) fn first_whole_group(since_s: u64, last_group: u64) -> String {
    format!(
        "SELECT if(count() = 0, toUInt64({}), min(whole)) FROM (SELECT intDiv(plan, {PLANS_PER_GROUP}) AS whole \
         FROM {} GROUP BY whole HAVING max(not_after) >= toDateTime({since_s}))",
        last_group + 1,
        MinuteTable::HitRollup.name()
    )
}

/// Groups and dates of minute rows, from a group on.
pub(super) fn hours_of(condition: &str, first_group: u64) -> String {
    format!(
        "SELECT DISTINCT intDiv(plan, {PLANS_PER_GROUP}) AS plan_group, local_date FROM {} \
         WHERE {condition} AND plan >= {} ORDER BY plan_group, local_date",
        MinuteTable::HitRollup.name(),
        first_group * PLANS_PER_GROUP
    )
}

/// How many hourly rows of a property lie before a group, and their dates.
pub(super) fn span_of(table: &HourlyTable, property: &str, first_group: u64) -> String {
    format!(
        "SELECT count() AS rows, min(local_date) AS first, max(local_date) AS last FROM {} \
         WHERE property = '{property}' AND plan_group < {first_group}",
        table.name
    )
}

/// Dates of a group's minute rows that lie before the latest date of a retention.
pub(super) fn dates_before(erase: &Erase, group: u64) -> Option<String> {
    let What::Retention { before } = &erase.what else { return None };
    let latest = before.iter().map(|before| LocalDate::near(before.date)).max()?;
    let (first, end) = (group * PLANS_PER_GROUP, (group + 1) * PLANS_PER_GROUP);
    let of = |table: MinuteTable| {
        format!(
            "SELECT local_date FROM {} WHERE plan >= {first} AND plan < {end} AND local_date < '{latest}'",
            table.name()
        )
    };
    let all = MinuteTable::ALL.map(of).join(" UNION ALL ");
    Some(format!("SELECT DISTINCT local_date FROM ({all}) ORDER BY local_date"))
}

/// Hours of one table and month that are rebuilt from minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The table.
    pub table: &'static HourlyTable,
    /// What is done, for people.
    pub what: String,
    month: String,
    property: String,
    hours: String,
}

impl Rebuild {
    /// Counts its rows.
    pub(super) fn count(&self) -> String {
        format!("SELECT count() FROM {} WHERE {}", self.table.name, self.of_hours())
    }

    /// Deletes the hours, unless it comes late.
    pub fn delete(&self, not_after: u32) -> String {
        format!(
            "ALTER TABLE {} DELETE IN PARTITION {} WHERE {} AND now() <= toDateTime({not_after}) {MUTATION}",
            self.table.name,
            self.month,
            self.of_hours()
        )
    }

    /// Inserts them anew, unless it comes late. No deduplication: whoever rebuilds compares afterwards.
    pub fn insert(&self, not_after: u32) -> String {
        let Self { table, property, hours, .. } = self;
        let condition = format!(
            "property = '{property}' AND (intDiv(plan, {PLANS_PER_GROUP}), local_date) IN ({hours}) \
             AND now() <= toDateTime({not_after})"
        );
        let columns: Vec<&str> = table.columns().collect();
        format!(
            "INSERT INTO {} ({}) SETTINGS insert_deduplicate = 0, async_insert = 0 {}",
            table.name,
            columns.join(", "),
            table.select_where(&condition)
        )
    }

    fn of_hours(&self) -> String {
        format!("property = '{}' AND (plan_group, local_date) IN ({})", self.property, self.hours)
    }
}

/// The rebuilds of a part that forgets visitors, in order.
pub fn rebuilds(part: &Part) -> Vec<Rebuild> {
    let What::Visitors { property_id, .. } = &part.erase.what else { return vec![] };
    let mut months: BTreeMap<String, Vec<GroupDate>> = BTreeMap::new();
    for hour in &part.hours {
        months.entry(hour.date.month()).or_default().push(*hour);
    }
    let mut all = Vec::new();
    for table in HOURLY.into_iter().filter(|table| !table.sets.is_empty()) {
        for (month, hours) in &months {
            for (at, some) in hours.chunks(HOURS_PER_STATEMENT).enumerate() {
                let pair = |hour: &GroupDate| format!("({}, toDate('{}'))", hour.group, hour.date);
                all.push(Rebuild {
                    table,
                    what: format!("rebuild hours of {month}, part {}", at + 1),
                    month: month.clone(),
                    property: property_id.clone(),
                    hours: some.iter().map(pair).collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    all
}

fn group_of(part: &Part) -> u64 {
    part.rows_plan / PLANS_PER_GROUP
}

fn tables() -> impl Iterator<Item = &'static str> {
    MinuteTable::ALL.into_iter().map(MinuteTable::name).chain(HOURLY.into_iter().map(|table| table.name))
}

fn with_visitors() -> impl Iterator<Item = MinuteTable> {
    MinuteTable::ALL.into_iter().filter(|table| !table.visitor_columns().is_empty())
}

fn ids(visitors: &[VisitorId]) -> String {
    visitors.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(", ")
}

fn visitors(property: &str, visitors: &[VisitorId], columns: &[&str]) -> String {
    let ids = ids(visitors);
    let holds = |column: &&str| format!("arrayExists(id -> id IN ({ids}), {column})");
    format!("property = '{property}' AND ({})", columns.iter().map(holds).collect::<Vec<_>>().join(" OR "))
}

/// What goes and the condition on the columns that all tables have, in statements of bounded length.
fn past(before: &Before) -> impl Iterator<Item = (String, String)> {
    let date = LocalDate::near(before.date);
    before.property_ids.chunks(IDS_PER_STATEMENT).enumerate().map(move |(at, some)| {
        let list: Vec<String> = some.iter().map(|id| format!("'{id}'")).collect();
        let first = at * IDS_PER_STATEMENT;
        let what = format!("delete before {date}, properties {} to {}", first + 1, first + some.len());
        (what, format!("local_date < '{date}' AND property IN ({})", list.join(", ")))
    })
}

#[cfg(test)]
mod tests;
