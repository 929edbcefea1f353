-- From minutes to hours, for items; see 0007.

CREATE MATERIALIZED VIEW IF NOT EXISTS item_hourly_view TO item_hourly AS
SELECT
    property, generation, traffic_class, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    item_id, item_name, item_brand, item_category, item_variant, currency, custom,
    page_path, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.items_viewed) AS items_viewed,
    sum(minute_rows.items_added_to_cart) AS items_added_to_cart,
    sum(minute_rows.items_checked_out) AS items_checked_out,
    sum(minute_rows.items_purchased) AS items_purchased,
    sum(minute_rows.item_revenue_micros) AS item_revenue_micros,
    sum(minute_rows.lines) AS lines
FROM item_rollup AS minute_rows
GROUP BY
    property, generation, traffic_class, local_date, local_hour, utc_offset_s,
    item_id, item_name, item_brand, item_category, item_variant, currency, custom,
    page_path, source, medium, campaign,
    country, device, browser, operating_system, hostname, region, city, browser_version, operating_system_version,
    device_brand, traffic_reason, visitor_type, first_source, plan_group;
