-- Hits of a property that were not counted, by the minute in which they were received and by reason.

CREATE TABLE IF NOT EXISTS refusal_rollup
(
    property String COMMENT 'Property id',
    slot UInt16 COMMENT 'SipHash-2-4 of the property id mod 1024: decides the shard',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    local_date Date COMMENT 'Date of the receipt in the zone of the property',
    minute DateTime('UTC') COMMENT 'Instant of the minute of the receipt',
    utc_offset_s Int32 COMMENT 'Offset of the zone at that instant, seconds',
    reason LowCardinality(String) COMMENT 'Why they were not counted',
    hits UInt64 COMMENT 'How many',
    plan UInt64 COMMENT 'Plan that inserted the row',
    not_after DateTime('UTC') COMMENT 'The server refuses the row after this time',
    CONSTRAINT fresh CHECK not_after >= now()
)
ENGINE = {engine:MergeTree}
PARTITION BY local_date
ORDER BY (property, generation, minute)
TTL not_after + INTERVAL {minute_ttl_days} DAY
SETTINGS non_replicated_deduplication_window = 100000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS refusal_hourly
(
    property String COMMENT 'Property id',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    local_date Date COMMENT 'Date of the receipt in the zone of the property',
    local_hour DateTime('UTC') COMMENT 'Wall-clock hour of the property, as if UTC',
    utc_offset_s Int32 COMMENT 'Offset of the zone, seconds',
    reason LowCardinality(String) COMMENT 'Why they were not counted' CODEC(ZSTD(1)),
    plan_group UInt64 COMMENT 'intDiv(plan, 4096)',
    hits SimpleAggregateFunction(sum, UInt64) COMMENT 'How many' CODEC(T64, ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(local_date)
PRIMARY KEY (property, generation, local_date, local_hour)
ORDER BY (property, generation, local_date, local_hour, utc_offset_s, reason, plan_group)
SETTINGS non_replicated_deduplication_window = 100000;
