-- From minutes to hours. A repair runs the same SELECT over the rows of one plan group: the loader takes it from this text.
-- Grouping is by wall-clock hour, so zones of half hours are right; `minute_rows` tells a column from the sum named like it.

ALTER TABLE hit_hourly_view MODIFY QUERY
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    page_path, event_name, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, currency, custom,
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
    device_brand, traffic_reason, visitor_type, first_source, currency, custom, plan_group;

ALTER TABLE session_hourly_view MODIFY QUERY
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    page_path, exit_page, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.sessions) AS sessions,
    sum(minute_rows.engaged_sessions) AS engaged_sessions,
    sum(minute_rows.page_views) AS page_views,
    sum(minute_rows.events) AS events,
    sum(minute_rows.duration_ms) AS duration_ms
FROM session_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    page_path, exit_page, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, plan_group;

ALTER TABLE total_hourly_view MODIFY QUERY
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.page_views) AS page_views,
    sum(minute_rows.events) AS events,
    sum(minute_rows.sessions) AS sessions,
    sum(minute_rows.engagement_ms) AS engagement_ms,
    sum(minute_rows.key_events) AS key_events,
    uniqCombined64ArrayState(14)(minute_rows.visitors) AS visitors,
    uniqCombined64ArrayState(14)(minute_rows.new_visitors) AS new_visitors
FROM hit_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    plan_group;
