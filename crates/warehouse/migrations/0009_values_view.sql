-- From minutes to hours, for measured values; see 0007.

CREATE MATERIALIZED VIEW IF NOT EXISTS value_hourly_view TO value_hourly AS
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    name, value, page_path, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.count) AS count
FROM value_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    name, value, page_path, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, plan_group;
