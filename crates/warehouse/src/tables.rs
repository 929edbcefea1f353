//! Names of tables and columns, in one place for loader, api and tests; `migrations/` defines them.
//!
//! Invariant, kept by a test against the engine: every column named here is a column of that table, and the three lists
//! of an hourly table together are all its columns.

/// A minute table: what the loader inserts into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MinuteTable {
    /// Hits.
    HitRollup,
    /// Closed sessions.
    SessionRollup,
    /// Measured values.
    ValueRollup,
    /// Goods of events.
    ItemRollup,
    /// Hits that were not counted.
    RefusalRollup,
}

impl MinuteTable {
    /// All, in the order in which a plan inserts.
    pub const ALL: [Self; 5] =
        [Self::HitRollup, Self::SessionRollup, Self::ValueRollup, Self::ItemRollup, Self::RefusalRollup];

    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HitRollup => "hit_rollup",
            Self::SessionRollup => "session_rollup",
            Self::ValueRollup => "value_rollup",
            Self::ItemRollup => "item_rollup",
            Self::RefusalRollup => "refusal_rollup",
        }
    }

    /// The column whose sum a plan names as its `hits` beside the number of rows.
    pub fn count_column(self) -> &'static str {
        match self {
            Self::HitRollup => "events",
            Self::SessionRollup => "sessions",
            Self::ValueRollup => "count",
            Self::ItemRollup => "lines",
            Self::RefusalRollup => "hits",
        }
    }

    /// The columns that hold visitor ids: all that are `Array(UInt64)`.
    pub fn visitor_columns(self) -> &'static [&'static str] {
        match self {
            Self::HitRollup => &["visitors", "new_visitors"],
            Self::SessionRollup | Self::ValueRollup | Self::ItemRollup | Self::RefusalRollup => &[],
        }
    }

    /// The hourly tables that views fill from this one.
    pub fn hourly(self) -> impl Iterator<Item = &'static HourlyTable> {
        HOURLY.iter().copied().filter(move |table| table.source == self)
    }
}

/// An hourly table and its columns.
#[derive(Debug, PartialEq, Eq)]
pub struct HourlyTable {
    /// The table's name; its view is called `{name}_view`.
    pub name: &'static str,
    /// The minute table its view reads.
    pub source: MinuteTable,
    /// Columns of the key, in the order of the view's columns.
    pub key: &'static [&'static str],
    /// `SimpleAggregateFunction(sum, UInt64)` columns: read with `sum(…)`.
    pub sums: &'static [&'static str],
    /// `AggregateFunction(uniqCombined64(14), UInt64)` columns: read with `uniqCombined64Merge(14)(…)`.
    pub sets: &'static [&'static str],
}

/// Plans per group: the unit in which hourly rows are compared and rebuilt.
pub const PLANS_PER_GROUP: u64 = 4096;
/// How far each edge is loaded.
pub const WATERMARK: &str = "watermark";
/// Which migrations have run.
pub const MIGRATIONS: &str = "migrations";
/// `WHERE` on this value of `generation` reads live data.
pub const LIVE_GENERATION: u32 = 0;

/// Every dimension of hits.
pub const HIT_HOURLY: HourlyTable = HourlyTable {
    name: "hit_hourly",
    source: MinuteTable::HitRollup,
    key: &[
        "property",
        "generation",
        "traffic_class",
        "local_date",
        "local_hour",
        "utc_offset_s",
        "page_path",
        "event_name",
        "source",
        "medium",
        "campaign",
        "country",
        "device",
        "browser",
        "operating_system",
        "hostname",
        "region",
        "city",
        "browser_version",
        "operating_system_version",
        "device_brand",
        "traffic_reason",
        "visitor_type",
        "first_source",
        "currency",
        "custom",
        "page_title",
        "plan_group",
    ],
    sums: &[
        "page_views",
        "events",
        "sessions",
        "engagement_ms",
        "revenue_micros",
        "key_events",
        "custom_metric_1_micros",
        "custom_metric_2_micros",
        "custom_metric_3_micros",
        "custom_metric_4_micros",
        "custom_metric_5_micros",
    ],
    sets: &["visitors", "new_visitors"],
};

/// Every dimension of closed sessions.
pub const SESSION_HOURLY: HourlyTable = HourlyTable {
    name: "session_hourly",
    source: MinuteTable::SessionRollup,
    key: &[
        "property",
        "generation",
        "traffic_class",
        "local_date",
        "local_hour",
        "utc_offset_s",
        "page_path",
        "exit_page",
        "source",
        "medium",
        "campaign",
        "country",
        "device",
        "browser",
        "operating_system",
        "hostname",
        "region",
        "city",
        "browser_version",
        "operating_system_version",
        "device_brand",
        "traffic_reason",
        "visitor_type",
        "first_source",
        "plan_group",
    ],
    sums: &["sessions", "engaged_sessions", "page_views", "events", "duration_ms"],
    sets: &[],
};

/// Hits by hour and traffic class alone.
pub const TOTAL_HOURLY: HourlyTable = HourlyTable {
    name: "total_hourly",
    source: MinuteTable::HitRollup,
    key: &[
        "property",
        "generation",
        "traffic_class",
        "local_date",
        "local_hour",
        "utc_offset_s",
        "plan_group",
    ],
    sums: &["page_views", "events", "sessions", "engagement_ms", "key_events"],
    sets: &["visitors", "new_visitors"],
};

/// How often each value was measured.
pub const VALUE_HOURLY: HourlyTable = HourlyTable {
    name: "value_hourly",
    source: MinuteTable::ValueRollup,
    key: &[
        "property",
        "generation",
        "traffic_class",
        "local_date",
        "local_hour",
        "utc_offset_s",
        "name",
        "value",
        "page_path",
        "source",
        "medium",
        "campaign",
        "country",
        "device",
        "browser",
        "operating_system",
        "hostname",
        "region",
        "city",
        "browser_version",
        "operating_system_version",
        "device_brand",
        "traffic_reason",
        "visitor_type",
        "first_source",
        "plan_group",
    ],
    sums: &["count"],
    sets: &[],
};

/// Goods that were viewed, added to a cart, checked out and bought.
pub const ITEM_HOURLY: HourlyTable = HourlyTable {
    name: "item_hourly",
    source: MinuteTable::ItemRollup,
    key: &[
        "property",
        "generation",
        "traffic_class",
        "local_date",
        "local_hour",
        "utc_offset_s",
        "item_id",
        "item_name",
        "item_brand",
        "item_category",
        "item_variant",
        "currency",
        "custom",
        "page_path",
        "source",
        "medium",
        "campaign",
        "country",
        "device",
        "browser",
        "operating_system",
        "hostname",
        "region",
        "city",
        "browser_version",
        "operating_system_version",
        "device_brand",
        "traffic_reason",
        "visitor_type",
        "first_source",
        "plan_group",
    ],
    sums: &[
        "items_viewed",
        "items_added_to_cart",
        "items_checked_out",
        "items_purchased",
        "item_revenue_micros",
        "lines",
    ],
    sets: &[],
};

/// Hits that were not counted, by reason.
pub const REFUSAL_HOURLY: HourlyTable = HourlyTable {
    name: "refusal_hourly",
    source: MinuteTable::RefusalRollup,
    key: &["property", "generation", "local_date", "local_hour", "utc_offset_s", "reason", "plan_group"],
    sums: &["hits"],
    sets: &[],
};

/// All hourly tables.
pub const HOURLY: [&HourlyTable; 6] =
    [&HIT_HOURLY, &SESSION_HOURLY, &TOTAL_HOURLY, &VALUE_HOURLY, &ITEM_HOURLY, &REFUSAL_HOURLY];

/// The text of the views as they are now, from which a repair takes the very same SELECT. Of a view that was changed the newest text comes
/// first: the first that is found is taken.
const VIEWS: [&str; 5] = [
    include_str!("../migrations/0014_titles_and_custom_metrics.sql"),
    include_str!("../migrations/0007_more_dimensions_views.sql"),
    include_str!("../migrations/0009_values_view.sql"),
    include_str!("../migrations/0011_items_view.sql"),
    include_str!("../migrations/0013_refusals_view.sql"),
];

impl HourlyTable {
    /// The view's SELECT over only those minute rows that fulfil `condition`, with the same columns in the same order.
    pub fn select_where(&self, condition: &str) -> String {
        let heads = [
            format!("ALTER TABLE {}_view MODIFY QUERY\n", self.name),
            format!("CREATE MATERIALIZED VIEW IF NOT EXISTS {0}_view TO {0} AS\n", self.name),
        ];
        let mut texts = VIEWS.iter().flat_map(|text| heads.iter().filter_map(|head| text.split_once(head)));
        let select = texts.next().map_or("", |(_, rest)| rest);
        let select = select.split_once(";\n").map_or(select, |(select, _)| select);
        select.replacen("\nGROUP BY", &format!("\nWHERE {condition}\nGROUP BY"), 1)
    }

    /// Columns in the order of [`HourlyTable::select_where`].
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().chain(self.sums).chain(self.sets).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_selects_what_the_view_selects() {
        for table in HOURLY {
            let sql = table.select_where("plan_group_condition");
            assert!(sql.starts_with("SELECT\n    property, "), "{}", table.name);
            for column in table.sums.iter().chain(table.sets) {
                assert!(sql.contains(&format!(" AS {column}")), "{} has no {column}", table.name);
            }
            assert_eq!(sql.matches("WHERE plan_group_condition").count(), 1, "{}", table.name);
            assert_eq!(sql.matches("CREATE").count(), 0, "{}", table.name);
            assert!(sql.contains(&format!("FROM {} AS minute_rows", table.source.name())), "{}", table.name);
        }
    }
}
