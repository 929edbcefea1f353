-- Minute rows as the loader inserts them. Source of every hourly table; they expire by time of insertion.
-- A row is inserted once: the block's token is remembered for as many blocks as a loader could ever be late by.

CREATE TABLE IF NOT EXISTS hit_rollup
(
    property String COMMENT 'Property id',
    slot UInt16 COMMENT 'SipHash-2-4 of the property id mod 1024: decides the shard',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    local_date Date COMMENT 'Date in the zone of the property',
    minute DateTime('UTC') COMMENT 'Instant of the minute',
    utc_offset_s Int32 COMMENT 'Offset of the zone at that instant, seconds',
    traffic_class LowCardinality(String) COMMENT 'human or bot',
    page_path String COMMENT 'Path of the page, without query',
    source String COMMENT 'Source of the session',
    medium LowCardinality(String) COMMENT 'Medium of the session',
    campaign String COMMENT 'Campaign of the session; empty: none',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown',
    device LowCardinality(String) COMMENT 'Device class',
    browser LowCardinality(String) COMMENT 'Browser family',
    operating_system LowCardinality(String) COMMENT 'Operating system family',
    event_name String COMMENT 'Event',
    page_views UInt64 COMMENT 'Hits whose event is page_view',
    events UInt64 COMMENT 'Hits of any event',
    sessions UInt64 COMMENT 'Sessions whose first hit is in this row',
    engagement_ms UInt64 COMMENT 'Visible and focused time, milliseconds',
    visitors Array(UInt64) COMMENT 'Visitor ids, ascending',
    new_visitors Array(UInt64) COMMENT 'Ids of new visitors, ascending',
    plan UInt64 COMMENT 'Plan that inserted the row',
    not_after DateTime('UTC') COMMENT 'The server refuses the row after this time',
    CONSTRAINT fresh CHECK not_after >= now()
)
ENGINE = {engine:MergeTree}
PARTITION BY local_date
ORDER BY (property, generation, traffic_class, minute)
TTL not_after + INTERVAL {minute_ttl_days} DAY
SETTINGS non_replicated_deduplication_window = 100000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS session_rollup
(
    property String COMMENT 'Property id',
    slot UInt16 COMMENT 'SipHash-2-4 of the property id mod 1024: decides the shard',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    local_date Date COMMENT 'Date of the first hit in the zone of the property',
    minute DateTime('UTC') COMMENT 'Minute of the first hit',
    utc_offset_s Int32 COMMENT 'Offset of the zone at that instant, seconds',
    traffic_class LowCardinality(String) COMMENT 'human or bot',
    page_path String COMMENT 'Path of the entry page',
    source String COMMENT 'Source of the session',
    medium LowCardinality(String) COMMENT 'Medium of the session',
    campaign String COMMENT 'Campaign of the session; empty: none',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown',
    device LowCardinality(String) COMMENT 'Device class',
    browser LowCardinality(String) COMMENT 'Browser family',
    operating_system LowCardinality(String) COMMENT 'Operating system family',
    exit_page String COMMENT 'Path of the last page viewed',
    sessions UInt64 COMMENT 'Closed sessions',
    engaged_sessions UInt64 COMMENT 'Of these, engaged',
    page_views UInt64 COMMENT 'Page views in these sessions',
    events UInt64 COMMENT 'Hits of any event in these sessions',
    duration_ms UInt64 COMMENT 'Last less first event time, summed, milliseconds',
    plan UInt64 COMMENT 'Plan that inserted the row',
    not_after DateTime('UTC') COMMENT 'The server refuses the row after this time',
    CONSTRAINT fresh CHECK not_after >= now()
)
ENGINE = {engine:MergeTree}
PARTITION BY local_date
ORDER BY (property, generation, traffic_class, minute)
TTL not_after + INTERVAL {minute_ttl_days} DAY
SETTINGS non_replicated_deduplication_window = 100000, ttl_only_drop_parts = 1;
