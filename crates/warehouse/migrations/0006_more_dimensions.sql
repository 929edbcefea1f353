-- What a hit tells beside its page and source: host, place, versions, brand, why it is no human's, whether the visitor is new; money and
-- key events. New columns of the sorting key come last, as ClickHouse wants it.

ALTER TABLE hit_rollup
    ADD COLUMN IF NOT EXISTS hostname LowCardinality(String) COMMENT 'Host of the page, without www.' AFTER operating_system,
    ADD COLUMN IF NOT EXISTS region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown' AFTER hostname,
    ADD COLUMN IF NOT EXISTS city String COMMENT 'City; empty: unknown' AFTER region,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) COMMENT 'Major version of the browser' AFTER city,
    ADD COLUMN IF NOT EXISTS operating_system_version LowCardinality(String) COMMENT 'Version of the operating system' AFTER browser_version,
    ADD COLUMN IF NOT EXISTS device_brand LowCardinality(String) COMMENT 'Maker of the device' AFTER operating_system_version,
    ADD COLUMN IF NOT EXISTS traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing' AFTER device_brand,
    ADD COLUMN IF NOT EXISTS visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session' AFTER traffic_reason,
    ADD COLUMN IF NOT EXISTS first_source String COMMENT 'Source of the first visit; (not set): the client does not say' AFTER visitor_type,
    ADD COLUMN IF NOT EXISTS currency LowCardinality(String) COMMENT 'ISO 4217; empty: no revenue' AFTER event_name,
    ADD COLUMN IF NOT EXISTS custom Array(String) COMMENT 'Values of custom dimensions, by slot' AFTER currency,
    ADD COLUMN IF NOT EXISTS revenue_micros UInt64 COMMENT 'Millionths of the currency''s unit' AFTER new_visitors,
    ADD COLUMN IF NOT EXISTS key_events UInt64 COMMENT 'Hits that are key events' AFTER revenue_micros;

ALTER TABLE session_rollup
    ADD COLUMN IF NOT EXISTS hostname LowCardinality(String) COMMENT 'Host of the page, without www.' AFTER operating_system,
    ADD COLUMN IF NOT EXISTS region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown' AFTER hostname,
    ADD COLUMN IF NOT EXISTS city String COMMENT 'City; empty: unknown' AFTER region,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) COMMENT 'Major version of the browser' AFTER city,
    ADD COLUMN IF NOT EXISTS operating_system_version LowCardinality(String) COMMENT 'Version of the operating system' AFTER browser_version,
    ADD COLUMN IF NOT EXISTS device_brand LowCardinality(String) COMMENT 'Maker of the device' AFTER operating_system_version,
    ADD COLUMN IF NOT EXISTS traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing' AFTER device_brand,
    ADD COLUMN IF NOT EXISTS visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session' AFTER traffic_reason,
    ADD COLUMN IF NOT EXISTS first_source String COMMENT 'Source of the first visit; (not set): the client does not say' AFTER visitor_type;

ALTER TABLE hit_hourly
    ADD COLUMN IF NOT EXISTS hostname LowCardinality(String) COMMENT 'Host of the page, without www.' CODEC(ZSTD(1)) AFTER operating_system,
    ADD COLUMN IF NOT EXISTS region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown' CODEC(ZSTD(1)) AFTER hostname,
    ADD COLUMN IF NOT EXISTS city String COMMENT 'City; empty: unknown' CODEC(ZSTD(1)) AFTER region,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) COMMENT 'Major version of the browser' CODEC(ZSTD(1)) AFTER city,
    ADD COLUMN IF NOT EXISTS operating_system_version LowCardinality(String) COMMENT 'Version of the operating system' CODEC(ZSTD(1)) AFTER browser_version,
    ADD COLUMN IF NOT EXISTS device_brand LowCardinality(String) COMMENT 'Maker of the device' CODEC(ZSTD(1)) AFTER operating_system_version,
    ADD COLUMN IF NOT EXISTS traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing' CODEC(ZSTD(1)) AFTER device_brand,
    ADD COLUMN IF NOT EXISTS visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session' CODEC(ZSTD(1)) AFTER traffic_reason,
    ADD COLUMN IF NOT EXISTS first_source String COMMENT 'Source of the first visit; (not set): the client does not say' CODEC(ZSTD(1)) AFTER visitor_type,
    ADD COLUMN IF NOT EXISTS currency LowCardinality(String) COMMENT 'ISO 4217; empty: no revenue' CODEC(ZSTD(1)) AFTER first_source,
    ADD COLUMN IF NOT EXISTS custom Array(String) COMMENT 'Values of custom dimensions, by slot' CODEC(ZSTD(1)) AFTER currency,
    ADD COLUMN IF NOT EXISTS revenue_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of the currency''s unit' CODEC(T64, ZSTD(1)) AFTER engagement_ms,
    ADD COLUMN IF NOT EXISTS key_events SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits that are key events' CODEC(T64, ZSTD(1)) AFTER revenue_micros,
    MODIFY ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, page_path, event_name, source,
        medium, campaign, country, device, browser, operating_system, plan_group, hostname, region, city, browser_version,
        operating_system_version, device_brand, traffic_reason, visitor_type, first_source, currency, custom);

ALTER TABLE session_hourly
    ADD COLUMN IF NOT EXISTS hostname LowCardinality(String) COMMENT 'Host of the page, without www.' CODEC(ZSTD(1)) AFTER operating_system,
    ADD COLUMN IF NOT EXISTS region LowCardinality(String) COMMENT 'Subdivision of the country; empty: unknown' CODEC(ZSTD(1)) AFTER hostname,
    ADD COLUMN IF NOT EXISTS city String COMMENT 'City; empty: unknown' CODEC(ZSTD(1)) AFTER region,
    ADD COLUMN IF NOT EXISTS browser_version LowCardinality(String) COMMENT 'Major version of the browser' CODEC(ZSTD(1)) AFTER city,
    ADD COLUMN IF NOT EXISTS operating_system_version LowCardinality(String) COMMENT 'Version of the operating system' CODEC(ZSTD(1)) AFTER browser_version,
    ADD COLUMN IF NOT EXISTS device_brand LowCardinality(String) COMMENT 'Maker of the device' CODEC(ZSTD(1)) AFTER operating_system_version,
    ADD COLUMN IF NOT EXISTS traffic_reason LowCardinality(String) COMMENT 'What speaks for the traffic class; empty: nothing' CODEC(ZSTD(1)) AFTER device_brand,
    ADD COLUMN IF NOT EXISTS visitor_type LowCardinality(String) COMMENT 'new, returning or (not set), of the session' CODEC(ZSTD(1)) AFTER traffic_reason,
    ADD COLUMN IF NOT EXISTS first_source String COMMENT 'Source of the first visit; (not set): the client does not say' CODEC(ZSTD(1)) AFTER visitor_type,
    MODIFY ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, page_path, exit_page, source,
        medium, campaign, country, device, browser, operating_system, plan_group, hostname, region, city, browser_version,
        operating_system_version, device_brand, traffic_reason, visitor_type, first_source);

ALTER TABLE total_hourly
    ADD COLUMN IF NOT EXISTS key_events SimpleAggregateFunction(sum, UInt64) COMMENT 'Hits that are key events' AFTER engagement_ms;
