-- Titles of pages; the view of 0014 with one column more.

ALTER TABLE hit_rollup
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' AFTER event_name;

ALTER TABLE hit_hourly
    ADD COLUMN IF NOT EXISTS page_title String COMMENT 'Title of the page; empty: none was sent' CODEC(ZSTD(1)) AFTER custom;
