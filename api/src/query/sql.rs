//! A plan into SQL: text made of constants only, and the bound values beside it.
//!
//! Invariant: every text from a request is a parameter (`{p0:String}`); names of tables, columns and labels are
//! constants of this file. Labels are made of the stored local date and hour, never of the zone: a change of zone
//! leaves history as it was counted.

use warehouse::tables::{
    HIT_HOURLY, HOURLY, ITEM_HOURLY, LIVE_GENERATION, MinuteTable, REFUSAL_HOURLY, SESSION_HOURLY,
    TOTAL_HOURLY, VALUE_HOURLY, WATERMARK,
};

use super::channel;
use crate::plan::fields::{Dimension, Measure, Measured, Metric, Percentile};
use crate::plan::filter::{Condition, Filter, Operator};
use crate::plan::{OrderField, Part, Plan, Table};

/// What a statement calls the channel of a row.
const CHANNEL: &str = "own_or_default_channel";

/// A statement and its bound values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The statement.
    pub text: String,
    /// Name and value of each parameter, all of them strings.
    pub params: Vec<(String, String)>,
}

impl Table {
    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Totals => TOTAL_HOURLY.name,
            Self::Hits => HIT_HOURLY.name,
            Self::Sessions => SESSION_HOURLY.name,
            Self::Values => VALUE_HOURLY.name,
            Self::Items => ITEM_HOURLY.name,
            Self::Refusals => REFUSAL_HOURLY.name,
        }
    }
}

/// The rows of one table; in the plan's order when `paged`, with its limit and offset, else as many as may be joined.
pub fn rows(plan: &Plan, part: &Part, paged: bool, max_rows: usize) -> Sql {
    let mut sql = Sql::select(plan, "");
    let measures =
        part.measures.iter().map(|measure| format!("{} AS {}", aggregate(*measure), alias(*measure)));
    sql.text += &labels(plan).chain(measures).collect::<Vec<_>>().join(", ");
    sql.scope(plan, part);
    sql.group_by(plan);
    if paged {
        let keys = plan.order.iter().map(|key| {
            let direction = if key.descending { "DESC" } else { "ASC" };
            format!("{} {direction}", order_expression(plan, key.field))
        });
        sql.text += &format!(" ORDER BY {}", keys.collect::<Vec<_>>().join(", "));
        sql.text += &format!(" LIMIT {} OFFSET {}", plan.limit, plan.offset);
    } else {
        sql.text += &format!(" LIMIT {max_rows}");
    }
    sql
}

/// The measures of one table over everything the plan counts.
pub fn totals(plan: &Plan, part: &Part) -> Sql {
    let mut sql = Sql::select(plan, "");
    let measures =
        part.measures.iter().map(|measure| format!("{} AS {}", aggregate(*measure), alias(*measure)));
    sql.text += &measures.collect::<Vec<_>>().join(", ");
    sql.scope(plan, part);
    sql
}

/// The number of rows without limit and offset.
pub fn count(plan: &Plan, part: &Part) -> Sql {
    let mut sql = Sql::select(plan, "SELECT count() FROM (");
    sql.text += &labels(plan).collect::<Vec<_>>().join(", ");
    sql.scope(plan, part);
    sql.group_by(plan);
    sql.text.push(')');
    sql
}

/// Milliseconds before which every hit is counted: the earliest edge's, among those heard of within a day of the latest.
///
/// The latest is never one ahead of the warehouse's clock: one edge with a wrong clock would hide all the others.
/// Of an edge with several epochs the latest counts (the others are of lost disks), of an epoch with several shards the
/// earliest. No row: nothing was loaded yet.
pub fn data_until() -> Sql {
    let text = format!(
        "WITH edges AS (SELECT edge, max(until_ms) AS edge_ms FROM \
           (SELECT edge, epoch, min(shard_ms) AS until_ms FROM \
             (SELECT edge, epoch, shard, toUnixTimestamp64Milli(max(complete_until)) AS shard_ms \
              FROM {WATERMARK} WHERE lane = 'rollup' GROUP BY edge, epoch, shard) \
            GROUP BY edge, epoch) \
          GROUP BY edge) \
         SELECT min(edge_ms) AS data_until_ms FROM edges \
         WHERE edge_ms >= (SELECT max(edge_ms) FROM edges WHERE edge_ms <= toUnixTimestamp64Milli(now64(3))) - 86400000 \
         HAVING count() > 0"
    );
    Sql { text, params: Vec::new() }
}

/// The setting that binds every fact table to the property a second time, whatever the statement says.
pub fn additional_table_filters(property_id: &str) -> String {
    // A property id is p_ and letters and digits (checked when its file was read); anything else must not get here.
    let id: String = property_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let tables = MinuteTable::ALL.map(MinuteTable::name);
    let tables = tables.into_iter().chain(HOURLY.map(|table| table.name));
    let filters = tables.map(|table| format!(r"'{table}':'property = \'{id}\''"));
    format!("{{{}}}", filters.collect::<Vec<_>>().join(","))
}

impl Sql {
    fn bind(&mut self, value: &str) -> String {
        let name = format!("p{}", self.params.len());
        let placeholder = format!("{{{name}:String}}");
        self.params.push((name, value.to_owned()));
        placeholder
    }

    /// A statement up to its columns. What a channel is takes a hundred thousand characters, so it is said once and then by name.
    fn select(plan: &Plan, before: &str) -> Self {
        let mut sql = Self { text: before.to_owned(), params: Vec::new() };
        let filtered = plan.filter.as_ref().map(Filter::dimensions).unwrap_or_default();
        if plan.dimensions.iter().chain(&filtered).any(|dimension| *dimension == Dimension::Channel) {
            let channel = sql.channel(plan);
            sql.text += &format!("WITH {channel} AS {CHANNEL} ");
        }
        sql.text += "SELECT ";
        sql
    }

    /// Channels of the property's own go before the default ones; their texts are bound like a request's.
    fn channel(&mut self, plan: &Plan) -> String {
        let own = &plan.property.current_rules().channels;
        if own.is_empty() {
            return channel::expression().to_owned();
        }
        let cases: Vec<_> = own
            .iter()
            .map(|channel| {
                let conditions = channel::conditions(channel, &mut |pattern| self.bind(pattern));
                format!("{conditions}, {}", self.bind(&channel.name))
            })
            .collect();
        format!("multiIf({}, {})", cases.join(", "), channel::expression())
    }

    fn scope(&mut self, plan: &Plan, part: &Part) {
        self.params.push(("property".to_owned(), plan.property.property_id.clone()));
        self.params.push(("day_from".to_owned(), plan.days.from.to_string()));
        self.params.push(("day_to".to_owned(), plan.days.to.to_string()));
        self.text += &format!(
            " FROM {} WHERE property = {{property:String}} AND generation = {LIVE_GENERATION} \
             AND local_date BETWEEN toDate({{day_from:String}}) AND toDate({{day_to:String}})",
            part.table.name()
        );
        if part.table == Table::Values {
            let names: Vec<_> = part.measures.iter().filter_map(|measure| measured_by(*measure)).collect();
            self.text += &format!(" AND name IN ({})", names.join(", "));
        }
        // What was not counted has no class.
        if plan.humans_only && part.table != Table::Refusals {
            self.text += " AND traffic_class = 'human'";
        }
        if let Some(filter) = &plan.filter {
            let condition = self.filter(filter);
            self.text += &format!(" AND ({condition})");
        }
    }

    fn group_by(&mut self, plan: &Plan) {
        if !plan.dimensions.is_empty() {
            let keys = (0..plan.dimensions.len()).map(|n| format!("d{n}"));
            self.text += &format!(" GROUP BY {}", keys.collect::<Vec<_>>().join(", "));
        }
    }

    fn filter(&mut self, filter: &Filter) -> String {
        let (parts, word) = match filter {
            Filter::Condition(condition) => return self.condition(condition),
            Filter::And(parts) => (parts, " AND "),
            Filter::Or(parts) => (parts, " OR "),
        };
        let parts: Vec<_> = parts.iter().map(|part| self.filter(part)).collect();
        format!("({})", parts.join(word))
    }

    fn condition(&mut self, condition: &Condition) -> String {
        let label = label(condition.dimension);
        let values: Vec<_> = condition.values.iter().map(|value| self.bind(value)).collect();
        let values = values.join(", ");
        match condition.operator {
            Operator::Equal => format!("{label} = {values}"),
            Operator::NotEqual => format!("{label} != {values}"),
            Operator::Matches => format!("match({label}, {values})"),
            Operator::NotMatches => format!("NOT match({label}, {values})"),
            Operator::In => format!("{label} IN ({values})"),
        }
    }
}

/// The columns of a plan's dimensions.
fn labels(plan: &Plan) -> impl Iterator<Item = String> {
    let numbered = plan.dimensions.iter().enumerate();
    numbered.map(|(n, dimension)| format!("{} AS d{n}", label(*dimension)))
}

/// A dimension as text, from the columns of its table.
fn label(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Date => "toString(local_date)",
        Dimension::DateHour => "formatDateTime(local_hour, '%Y-%m-%dT%H', 'UTC')",
        Dimension::Hour => "toString(toHour(local_hour, 'UTC'))",
        // Of session rows, page_path is the page of the session's first hit.
        Dimension::PagePath | Dimension::EntryPage => "page_path",
        Dimension::ExitPage => "exit_page",
        Dimension::Source => "source",
        Dimension::Medium => "medium",
        Dimension::Campaign => "campaign",
        Dimension::Channel => CHANNEL,
        Dimension::Country => "country",
        Dimension::Device => "device",
        Dimension::Browser => "browser",
        Dimension::OperatingSystem => "operating_system",
        Dimension::EventName => "event_name",
        Dimension::TrafficClass => "traffic_class",
        Dimension::TrafficReason => "traffic_reason",
        Dimension::Hostname => "hostname",
        Dimension::Region => "region",
        Dimension::City => "city",
        Dimension::BrowserVersion => "browser_version",
        Dimension::OperatingSystemVersion => "operating_system_version",
        Dimension::DeviceBrand => "device_brand",
        Dimension::VisitorType => "visitor_type",
        Dimension::FirstSource => "first_source",
        Dimension::Currency => "currency",
        Dimension::PageTitle => "page_title",
        Dimension::ItemId => "item_id",
        Dimension::ItemName => "item_name",
        Dimension::ItemBrand => "item_brand",
        Dimension::ItemCategory => "item_category",
        Dimension::ItemVariant => "item_variant",
        Dimension::Custom(1) => "custom[1]",
        Dimension::Custom(2) => "custom[2]",
        Dimension::Custom(3) => "custom[3]",
        Dimension::Custom(4) => "custom[4]",
        Dimension::Custom(_) => "custom[5]",
        Dimension::RefusalReason => "reason",
    }
}

fn aggregate(measure: Measure) -> String {
    let sum = match measure {
        Measure::Visitors => "uniqCombined64Merge(14)(visitors)",
        Measure::NewVisitors => "uniqCombined64Merge(14)(new_visitors)",
        Measure::SessionsOpened | Measure::SessionsClosed => "sum(sessions)",
        Measure::SessionsEngaged => "sum(engaged_sessions)",
        Measure::DurationMs => "sum(duration_ms)",
        Measure::PageViews => "sum(page_views)",
        Measure::Events => "sum(events)",
        Measure::EngagementMs => "sum(engagement_ms)",
        Measure::KeyEvents => "sum(key_events)",
        Measure::RevenueMicros => return capped_sum("revenue_micros"),
        Measure::CustomMicros(slot) => return capped_sum(&format!("custom_metric_{slot}_micros")),
        Measure::ItemsViewed => "sum(items_viewed)",
        Measure::ItemsAddedToCart => "sum(items_added_to_cart)",
        Measure::ItemsCheckedOut => "sum(items_checked_out)",
        Measure::ItemsPurchased => "sum(items_purchased)",
        Measure::ItemRevenueMicros => return capped_sum("item_revenue_micros"),
        Measure::RefusedHits => "sum(hits)",
        Measure::Percentile(measured, percentile) => {
            let (name, level) = (value_name(measured), level(percentile));
            // 0 of none.
            return format!("toUInt64(quantileExactWeightedIf({level})(value, count, name = '{name}'))");
        }
    };
    sum.to_owned()
}

/// Beyond 64 bits it stays at the most rather than begin anew.
fn capped_sum(column: &str) -> String {
    format!("toUInt64(least(sum(toUInt128({column})), 18446744073709551615))")
}

/// The values that a measure is made of, as a literal.
fn measured_by(measure: Measure) -> Option<String> {
    match measure {
        Measure::Percentile(measured, _) => Some(format!("'{}'", value_name(measured))),
        _ => None,
    }
}

/// The column `name` of values of this kind.
fn value_name(measured: Measured) -> &'static str {
    match measured {
        Measured::Lcp => "lcp_ms",
        Measured::Inp => "inp_ms",
        Measured::Cls => "cls_thousandths",
        Measured::Fcp => "fcp_ms",
        Measured::Ttfb => "ttfb_ms",
        Measured::ScrollDepth => "scroll_percent",
    }
}

fn level(percentile: Percentile) -> &'static str {
    match percentile {
        Percentile::P50 => "0.5",
        Percentile::P75 => "0.75",
        Percentile::P95 => "0.95",
    }
}

/// Never the name of a column: ClickHouse would put the alias in its place.
fn alias(measure: Measure) -> String {
    let alias = match measure {
        Measure::Visitors => "m_visitors",
        Measure::NewVisitors => "m_new_visitors",
        Measure::SessionsOpened => "m_opened",
        Measure::SessionsClosed => "m_closed",
        Measure::SessionsEngaged => "m_engaged",
        Measure::DurationMs => "m_duration_ms",
        Measure::PageViews => "m_page_views",
        Measure::Events => "m_events",
        Measure::EngagementMs => "m_engagement_ms",
        Measure::KeyEvents => "m_key_events",
        Measure::RevenueMicros => "m_revenue_micros",
        Measure::CustomMicros(slot) => return format!("m_custom_{slot}_micros"),
        Measure::ItemsViewed => "m_items_viewed",
        Measure::ItemsAddedToCart => "m_items_added_to_cart",
        Measure::ItemsCheckedOut => "m_items_checked_out",
        Measure::ItemsPurchased => "m_items_purchased",
        Measure::ItemRevenueMicros => "m_item_revenue_micros",
        Measure::RefusedHits => "m_refused_hits",
        Measure::Percentile(measured, percentile) => {
            return format!("m_{}_{}", value_name(measured), level(percentile).trim_start_matches("0."));
        }
    };
    alias.to_owned()
}

/// Ranks rows as [`crate::answer`] computes and compares them.
fn order_expression(plan: &Plan, field: OrderField) -> String {
    match field {
        OrderField::Dimension(n) if plan.dimensions.get(n) == Some(&Dimension::Hour) => {
            format!("toUInt8(d{n})")
        }
        OrderField::Dimension(n) => format!("d{n}"),
        OrderField::Metric(n) => match plan.metrics.get(n) {
            Some(Metric::BounceRate) => "if(m_closed = 0, 0, (m_closed - m_engaged) / m_closed)".to_owned(),
            Some(Metric::SessionDuration) => "if(m_closed = 0, 0, m_duration_ms / m_closed)".to_owned(),
            metric => metric
                .and_then(|metric| metric.measures(plan.closed_sessions_only).first())
                .map_or_else(|| "1".to_owned(), |measure| alias(*measure)),
        },
    }
}

#[cfg(test)]
mod tests;
