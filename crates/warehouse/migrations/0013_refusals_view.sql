-- From minutes to hours, for hits that were not counted; see 0007.

CREATE MATERIALIZED VIEW IF NOT EXISTS refusal_hourly_view TO refusal_hourly AS
SELECT
    property, generation, local_date,
    toStartOfHour(minute + toIntervalSecond(utc_offset_s)) AS local_hour, utc_offset_s,
    reason,
    intDiv(plan, 4096) AS plan_group,
    sum(minute_rows.hits) AS hits
FROM refusal_rollup AS minute_rows
GROUP BY
    property, generation, local_date, local_hour, utc_offset_s,
    reason, plan_group;
