-- How far each edge's batches are in the tables above; reports read data_until here. A row per plan and lane; the last plan wins.

CREATE TABLE IF NOT EXISTS watermark
(
    edge String COMMENT 'Edge id',
    epoch String COMMENT '32 hexadecimal digits',
    lane LowCardinality(String) COMMENT 'rollup or raw',
    shard UInt16 COMMENT 'Range of slots that the plan is for',
    plan UInt64 COMMENT 'Last plan that took from this edge',
    seq UInt64 COMMENT 'Last batch taken',
    position UInt64 COMMENT 'First WAL position that is not in',
    complete_until DateTime64(3, 'UTC') COMMENT 'Every hit received before this time is in'
)
ENGINE = {engine:ReplacingMergeTree(plan)}
ORDER BY (edge, epoch, lane, shard);
