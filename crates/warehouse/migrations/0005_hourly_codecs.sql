-- Hourly rows are written once and kept for years, and ZSTD takes little more than half of what LZ4 does (docs/performance.md).
-- Counts of a row are nearly all 0 or 1: T64 packs them into bits first. Parts that are there already change when they are merged.

ALTER TABLE hit_hourly
    MODIFY COLUMN page_path CODEC(ZSTD(1)),
    MODIFY COLUMN event_name CODEC(ZSTD(1)),
    MODIFY COLUMN source CODEC(ZSTD(1)),
    MODIFY COLUMN campaign CODEC(ZSTD(1)),
    MODIFY COLUMN country CODEC(ZSTD(1)),
    MODIFY COLUMN medium CODEC(ZSTD(1)),
    MODIFY COLUMN device CODEC(ZSTD(1)),
    MODIFY COLUMN browser CODEC(ZSTD(1)),
    MODIFY COLUMN operating_system CODEC(ZSTD(1)),
    MODIFY COLUMN page_views CODEC(T64, ZSTD(1)),
    MODIFY COLUMN events CODEC(T64, ZSTD(1)),
    MODIFY COLUMN sessions CODEC(T64, ZSTD(1)),
    MODIFY COLUMN engagement_ms CODEC(T64, ZSTD(1)),
    MODIFY COLUMN visitors CODEC(ZSTD(1)),
    MODIFY COLUMN new_visitors CODEC(ZSTD(1));

ALTER TABLE session_hourly
    MODIFY COLUMN page_path CODEC(ZSTD(1)),
    MODIFY COLUMN exit_page CODEC(ZSTD(1)),
    MODIFY COLUMN source CODEC(ZSTD(1)),
    MODIFY COLUMN campaign CODEC(ZSTD(1)),
    MODIFY COLUMN country CODEC(ZSTD(1)),
    MODIFY COLUMN medium CODEC(ZSTD(1)),
    MODIFY COLUMN device CODEC(ZSTD(1)),
    MODIFY COLUMN browser CODEC(ZSTD(1)),
    MODIFY COLUMN operating_system CODEC(ZSTD(1)),
    MODIFY COLUMN sessions CODEC(T64, ZSTD(1)),
    MODIFY COLUMN engaged_sessions CODEC(T64, ZSTD(1)),
    MODIFY COLUMN page_views CODEC(T64, ZSTD(1)),
    MODIFY COLUMN events CODEC(T64, ZSTD(1)),
    MODIFY COLUMN duration_ms CODEC(T64, ZSTD(1));

ALTER TABLE total_hourly
    MODIFY COLUMN visitors CODEC(ZSTD(1)),
    MODIFY COLUMN new_visitors CODEC(ZSTD(1));
