-- What reports read. Hours are wall-clock hours of the property, written as if UTC; the instant is
-- local_hour - utc_offset_s. plan_group = intDiv(plan, 4096) lets a repair rebuild the hours of one group of plans.

-- Every dimension: answers any filter.
CREATE TABLE IF NOT EXISTS hit_hourly
(
    property String COMMENT 'Property id',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    traffic_class LowCardinality(String) COMMENT 'human or bot',
    local_date Date COMMENT 'Date in the zone of the property',
    local_hour DateTime('UTC') COMMENT 'Wall-clock hour of the property, as if UTC',
    utc_offset_s Int32 COMMENT 'Offset of the zone, seconds',
    page_path String COMMENT 'Path of the page',
    event_name String COMMENT 'Event',
    source String COMMENT 'Source of the session',
    medium LowCardinality(String) COMMENT 'Medium of the session',
    campaign String COMMENT 'Campaign of the session; empty: none',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown',
    device LowCardinality(String) COMMENT 'Device class',
    browser LowCardinality(String) COMMENT 'Browser family',
    operating_system LowCardinality(String) COMMENT 'Operating system family',
    plan_group UInt64 COMMENT 'intDiv(plan, 4096)',
    page_views SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits whose event is page_view',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits of any event',
    sessions SimpleAggregateFunction(sum, UInt64) COMMENT 'Sessions whose first hit is in this row',
    engagement_ms SimpleAggregateFunction(sum, UInt64) COMMENT 'Visible and focused time, milliseconds',
    visitors AggregateFunction(uniqCombined64(14), UInt64) COMMENT 'Set of visitor ids',
    new_visitors AggregateFunction(uniqCombined64(14), UInt64) COMMENT 'Set of ids of new visitors'
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(local_date)
PRIMARY KEY (property, generation, traffic_class, local_date, local_hour)
ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, page_path, event_name, source,
    medium, campaign, country, device, browser, operating_system, plan_group)
SETTINGS non_replicated_deduplication_window = 100000;

-- Closed sessions with every dimension: rates, durations, entry and exit pages.
CREATE TABLE IF NOT EXISTS session_hourly
(
    property String COMMENT 'Property id',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    traffic_class LowCardinality(String) COMMENT 'human or bot',
    local_date Date COMMENT 'Date of the first hit in the zone of the property',
    local_hour DateTime('UTC') COMMENT 'Wall-clock hour of the first hit, as if UTC',
    utc_offset_s Int32 COMMENT 'Offset of the zone, seconds',
    page_path String COMMENT 'Path of the entry page',
    exit_page String COMMENT 'Path of the last page viewed',
    source String COMMENT 'Source of the session',
    medium LowCardinality(String) COMMENT 'Medium of the session',
    campaign String COMMENT 'Campaign of the session; empty: none',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown',
    device LowCardinality(String) COMMENT 'Device class',
    browser LowCardinality(String) COMMENT 'Browser family',
    operating_system LowCardinality(String) COMMENT 'Operating system family',
    plan_group UInt64 COMMENT 'intDiv(plan, 4096)',
    sessions SimpleAggregateFunction(sum, UInt64) COMMENT 'Closed sessions',
    engaged_sessions SimpleAggregateFunction(sum, UInt64) COMMENT 'Of these, engaged',
    page_views SimpleAggregateFunction(sum, UInt64) COMMENT 'Page views in these sessions',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits of any event in these sessions',
    duration_ms SimpleAggregateFunction(sum, UInt64) COMMENT 'Last less first event time, summed, milliseconds'
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(local_date)
PRIMARY KEY (property, generation, traffic_class, local_date, local_hour)
ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, page_path, exit_page, source,
    medium, campaign, country, device, browser, operating_system, plan_group)
SETTINGS non_replicated_deduplication_window = 100000;

-- No dimension but the class: the time series at the top of every dashboard.
CREATE TABLE IF NOT EXISTS total_hourly
(
    property String COMMENT 'Property id',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    traffic_class LowCardinality(String) COMMENT 'human or bot',
    local_date Date COMMENT 'Date in the zone of the property',
    local_hour DateTime('UTC') COMMENT 'Wall-clock hour of the property, as if UTC',
    utc_offset_s Int32 COMMENT 'Offset of the zone, seconds',
    plan_group UInt64 COMMENT 'intDiv(plan, 4096)',
    page_views SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits whose event is page_view',
    events SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits of any event',
    sessions SimpleAggregateFunction(sum, UInt64) COMMENT 'Sessions opened',
    engagement_ms SimpleAggregateFunction(sum, UInt64) COMMENT 'Visible and focused time, milliseconds',
    visitors AggregateFunction(uniqCombined64(14), UInt64) COMMENT 'Set of visitor ids',
    new_visitors AggregateFunction(uniqCombined64(14), UInt64) COMMENT 'Set of ids of new visitors'
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(local_date)
ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, plan_group)
SETTINGS non_replicated_deduplication_window = 100000;
