-- Titles of pages, and sums of numbers that events carry, by slot: custom metrics. These are measures; the title belongs to the sorting key.

ALTER TABLE hit_rollup
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' AFTER event_name,
    ADD COLUMN IF NOT EXISTS custom_metric_1_micros UInt64 COMMENT 'Millionths of custom metric 1' AFTER key_events,
    ADD COLUMN IF NOT EXISTS custom_metric_2_micros UInt64 COMMENT 'Millionths of custom metric 2' AFTER custom_metric_1_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_3_micros UInt64 COMMENT 'Millionths of custom metric 3' AFTER custom_metric_2_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_4_micros UInt64 COMMENT 'Millionths of custom metric 4' AFTER custom_metric_3_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_5_micros UInt64 COMMENT 'Millionths of custom metric 5' AFTER custom_metric_4_micros;

ALTER TABLE hit_hourly
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' CODEC(ZSTD(1)) AFTER custom,
    ADD COLUMN IF NOT EXISTS custom_metric_1_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of custom metric 1' CODEC(T64, ZSTD(1)) AFTER key_events,
    ADD COLUMN IF NOT EXISTS custom_metric_2_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of custom metric 2' CODEC(T64, ZSTD(1)) AFTER custom_metric_1_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_3_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of custom metric 3' CODEC(T64, ZSTD(1)) AFTER custom_metric_2_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_4_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of custom metric 4' CODEC(T64, ZSTD(1)) AFTER custom_metric_3_micros,
    ADD COLUMN IF NOT EXISTS custom_metric_5_micros SimpleAggregateFunction(sum, UInt64) COMMENT 'Millionths of custom metric 5' CODEC(T64, ZSTD(1)) AFTER custom_metric_4_micros,
    MODIFY ORDER BY (property, generation, traffic_class, local_date, local_hour, utc_offset_s, page_path, event_name, source,
        medium, campaign, country, device, browser, operating_system, plan_group, hostname, region, city, browser_version,
        operating_system_version, device_brand, traffic_reason, visitor_type, first_source, currency, custom, page_title);

ALTER TABLE hit_hourly_view MODIFY QUERY
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    page_path, event_name, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, currency, custom, page_title,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.page_views) AS page_views,
    sum(minute_rows.events) AS events,
    sum(minute_rows.sessions) AS sessions,
    sum(minute_rows.engagement_ms) AS engagement_ms,
    sum(minute_rows.revenue_micros) AS revenue_micros,
    sum(minute_rows.key_events) AS key_events,
    sum(minute_rows.custom_metric_1_micros) AS custom_metric_1_micros,
    sum(minute_rows.custom_metric_2_micros) AS custom_metric_2_micros,
    sum(minute_rows.custom_metric_3_micros) AS custom_metric_3_micros,
    sum(minute_rows.custom_metric_4_micros) AS custom_metric_4_micros,
    sum(minute_rows.custom_metric_5_micros) AS custom_metric_5_micros,
    uniqCombined64ArrayState(14)(minute_rows.visitors) AS visitors,
    uniqCombined64ArrayState(14)(minute_rows.new_visitors) AS new_visitors
FROM hit_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    page_path, event_name, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, currency, custom, page_title, plan_group;
