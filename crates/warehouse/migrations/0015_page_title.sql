-- Titles of pages; the view of 0014 with one column more.

ALTER TABLE hit_rollup
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' AFTER event_name;

ALTER TABLE hit_hourly
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' CODEC(ZSTD(1)) AFTER custom,
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
    uniqCombined64ArrayState(14)(minute_rows.visitors) AS visitors,
    uniqCombined64ArrayState(14)(minute_rows.new_visitors) AS new_visitors
FROM hit_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    page_path, event_name, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, currency, custom, page_title, plan_group;
