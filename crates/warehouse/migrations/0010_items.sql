-- Goods that were viewed, added to a cart, checked out and bought: a row for each item, currency and key in a minute. An event has several
-- items, so these rows are apart from those of hits.

CREATE TABLE IF NOT EXISTS item_rollup
(
    property String COMMENT 'Property id',
    slot UInt16 COMMENT 'SipHash-2-4 of the property id mod 1024: decides the shard',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    local_date Date COMMENT 'Date in the zone of the property',
    minute DateTime('UTC') COMMENT 'Instant of the minute',
    utc_offset_s Int32 COMMENT 'Offset of the zone at that instant, seconds',
    traffic_class LowCardinality(String) COMMENT 'human, bot, automation, spam or internal',
    page_path String COMMENT 'Path of the page',
    source String COMMENT 'Source of the session',
    medium LowCardinality(String) COMMENT 'Medium of the session',
    campaign String COMMENT 'Campaign of the session; empty: none',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown',
    device LowCardinality(String) COMMENT 'Device class',
    browser LowCardinality(String) COMMENT 'Browser family',
    operating_system LowCardinality(String) COMMENT 'Operating system family',
    hostname LowCardinality(String) COMMENT 'Host of the page, without www.',
    region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown',
    city String COMMENT 'City; empty: unknown',
    browser_version LowCardinality(String) COMMENT 'Major version of the browser',
    operating_system_version LowCardinality(String) COMMENT 'Version of the operating system',
    device_brand LowCardinality(String) COMMENT 'Maker of the device',
    traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing',
    visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session',
    first_source String COMMENT 'Source of the first visit; (not set): the client does not say',
    item_id String COMMENT 'The shop''s id of it; empty: not said',
    item_name String COMMENT 'Name',
    item_brand LowCardinality(String) COMMENT 'Brand',
    item_category LowCardinality(String) COMMENT 'Category',
    item_variant LowCardinality(String) COMMENT 'Variant',
    currency LowCardinality(String) COMMENT 'Currency of the event, ISO 4217; (not set): what was sent is none',
    custom Array(String) COMMENT 'Values of custom dimensions, by slot: of the event or of the item',
    items_viewed UInt64 COMMENT 'Items of view_item',
    items_added_to_cart UInt64 COMMENT 'Items of add_to_cart',
    items_checked_out UInt64 COMMENT 'Items of begin_checkout',
    items_purchased UInt64 COMMENT 'Items of purchase',
    item_revenue_micros UInt64 COMMENT 'Price by quantity of what was bought, millionths of the currency',
    lines UInt64 COMMENT 'Item lines of these events',
    plan UInt64 COMMENT 'Plan that inserted the row',
    not_after DateTime('UTC') COMMENT 'The server refuses the row after this time',
    CONSTRAINT fresh CHECK not_after >= now()
)
ENGINE = {engine:MergeTree}
PARTITION BY local_date
ORDER BY (property, generation, traffic_class, minute)
TTL not_after + INTERVAL {minute_ttl_days} DAY
SETTINGS non_replicated_deduplication_window = 100000, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS item_hourly
(
    property String COMMENT 'Property id',
    generation UInt32 COMMENT '0: live; others: reprocessed',
    traffic_class LowCardinality(String) COMMENT 'human, bot, automation, spam or internal',
    local_date Date COMMENT 'Date in the zone of the property',
    local_hour DateTime('UTC') COMMENT 'Wall-clock hour of the property, as if UTC',
    utc_offset_s Int32 COMMENT 'Offset of the zone, seconds',
    item_id String COMMENT 'The shop''s id of it; empty: not said' CODEC(ZSTD(1)),
    item_name String COMMENT 'Name' CODEC(ZSTD(1)),
    item_brand LowCardinality(String) COMMENT 'Brand' CODEC(ZSTD(1)),
    item_category LowCardinality(String) COMMENT 'Category' CODEC(ZSTD(1)),
    item_variant LowCardinality(String) COMMENT 'Variant' CODEC(ZSTD(1)),
    currency LowCardinality(String) COMMENT 'Currency of the event, ISO 4217; (not set): what was sent is none' CODEC(ZSTD(1)),
    custom Array(String) COMMENT 'Values of custom dimensions, by slot: of the event or of the item' CODEC(ZSTD(1)),
    page_path String COMMENT 'Path of the page' CODEC(ZSTD(1)),
    source String COMMENT 'Source of the session' CODEC(ZSTD(1)),
    medium LowCardinality(String) COMMENT 'Medium of the session' CODEC(ZSTD(1)),
    campaign String COMMENT 'Campaign of the session; empty: none' CODEC(ZSTD(1)),
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty: unknown' CODEC(ZSTD(1)),
    device LowCardinality(String) COMMENT 'Device class' CODEC(ZSTD(1)),
    browser LowCardinality(String) COMMENT 'Browser family' CODEC(ZSTD(1)),
    operating_system LowCardinality(String) COMMENT 'Operating system family' CODEC(ZSTD(1)),
    hostname LowCardinality(String) COMMENT 'Host of the page, without www.' CODEC(ZSTD(1)),
    region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown' CODEC(ZSTD(1)),
    city String COMMENT 'City; empty: unknown' CODEC(ZSTD(1)),
    browser_version LowCardinality(String) COMMENT 'Major version of the browser' CODEC(ZSTD(1)),
    operating_system_version LowCardinality(String) COMMENT 'Version of the operating system' CODEC(ZSTD(1)),
    device_brand LowCardinality(String) COMMENT 'Maker of the device' CODEC(ZSTD(1)),
    traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing' CODEC(ZSTD(1)),
    visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session' CODEC(ZSTD(1)),
    first_source String COMMENT 'Source of the first visit; (not set): the client does not say' CODEC(ZSTD(1)),
    plan_group UInt64 COMMENT 'intDiv(plan, 4096)',
    items_viewed SimpleAggregateFunction(sum, UInt64) COMMENT 'Items of view_item' CODEC(T64, ZSTD(1)),
    items_added_to_cart SimpleAggregateFunction(sum, UInt64) COMMENT 'Items of add_to_cart' CODEC(T64, ZSTD(1)),
    items_checked_out SimpleAggregateFunction(sum, UInt64) COMMENT 'Items of begin_checkout' CODEC(T64, ZSTD(1)),
    items_purchased SimpleAggregateFunction(sum, UInt64) COMMENT 'Items of purchase' CODEC(T64, ZSTD(1)),
    item_revenue_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Price by quantity of what was bought, millionths of the currency' CODEC(T64, ZSTD(1)),
    lines SimpleAggregateFunction(sum, UInt64) COMMENT 'Item lines of these events' CODEC(T64, ZSTD(1))
)
ENGINE = {engine:AggregatingMergeTree}
PARTITION BY toYYYYMM(local_date)
PRIMARY KEY (property, generation, traffic_class, local_date, local_hour)
ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, item_id, item_name, item_brand,
    item_category, item_variant, currency, custom, page_path, source, medium, campaign, country, device, browser,
    operating_system, hostname, region, city, browser_version, operating_system_version, device_brand, traffic_reason,
    visitor_type, first_source, plan_group)
SETTINGS non_replicated_deduplication_window = 100000;
