//! Sends rows to the warehouse: one try of one INSERT.
//!
//! In: the rows of a chunk and a token. Out: a clean answer, or an error that leaves open what was written. The server
//! refuses rows that arrive after `not_after`, which the caller takes *before* it makes sure that the INSERT is still
//! wanted: a loader that sleeps in between is refused.

use std::time::Duration;

use clickhouse::Client;
use clickhouse::insert::Insert;
use service::{SharedClock, fail};
use warehouse::tables::{LIVE_GENERATION, MinuteTable, WATERMARK};
use warehouse::{
    HitRollupRow, ItemRollupRow, RefusalRollupRow, SessionRollupRow, ValueRollupRow, WarehouseConfig,
    WarehouseError, WatermarkRow, client, load_settings,
};

use batch::{HitRow, ItemRow, RefusalRow, SessionRow, ValueRow};

use crate::metrics::InsertMetrics;
use crate::rows::{Chunk, PlanRows};
use crate::status::LoaderStatus;

/// Sends INSERTs.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    config: WarehouseConfig,
    not_after_s: u64,
    clock: SharedClock,
    metrics: InsertMetrics,
    status: LoaderStatus,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender with the settings of loads.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn new(
        config: &WarehouseConfig,
        max_insert_rows: usize,
        not_after_s: u64,
        clock: SharedClock,
        metrics: InsertMetrics,
        status: LoaderStatus,
    ) -> Result<Self, WarehouseError> {
        let mut client = client(config)?;
        for (name, value) in load_settings(max_insert_rows) {
            client = client.with_setting(name, value);
        }
        Ok(Self { client, config: config.clone(), not_after_s, clock, metrics, status })
    }

    /// Until when rows sent now are taken, unix seconds.
    pub fn not_after(&self) -> u32 {
        u32::try_from(self.clock.now_ms() / 1_000 + self.not_after_s).unwrap_or(u32::MAX)
    }

    /// Sends the rows of one chunk under `token`.
    ///
    /// # Errors
    /// When the answer is not clean; what was written is then unknown.
    pub async fn send(
        &self,
        rows: &PlanRows,
        chunk: &Chunk,
        rows_plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        let started_ms = self.clock.monotonic_ms();
        self.status.update(|snapshot| snapshot.work.insert_running_since_ms = Some(self.clock.now_ms()));
        let result = match chunk.table {
            MinuteTable::HitRollup => {
                let rows = rows.rows().hits.get(chunk.range.clone()).unwrap_or_default();
                self.send_hits(rows, rows_plan, token, not_after).await
            }
            MinuteTable::SessionRollup => {
                let rows = rows.rows().sessions.get(chunk.range.clone()).unwrap_or_default();
                self.send_sessions(rows, rows_plan, token, not_after).await
            }
            MinuteTable::ValueRollup => {
                let rows = rows.rows().values.get(chunk.range.clone()).unwrap_or_default();
                self.send_values(rows, rows_plan, token, not_after).await
            }
            MinuteTable::ItemRollup => {
                let rows = rows.rows().items.get(chunk.range.clone()).unwrap_or_default();
                self.send_items(rows, rows_plan, token, not_after).await
            }
            MinuteTable::RefusalRollup => {
                let rows = rows.rows().refusals.get(chunk.range.clone()).unwrap_or_default();
                self.send_refusals(rows, rows_plan, token, not_after).await
            }
        };
        self.status.update(|snapshot| snapshot.work.insert_running_since_ms = None);
        let took = Duration::from_millis(self.clock.monotonic_ms().saturating_sub(started_ms));
        self.metrics.seconds.observe(took.as_secs_f64());
        if result.is_ok() {
            self.metrics.rows.inc_by(u64::try_from(chunk.range.len()).unwrap_or(u64::MAX));
        }
        result
    }

    async fn send_hits(
        &self,
        rows: &[HitRow],
        plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        fail::point("loader.insert.hits.before");
        let mut insert: Insert<HitRollupRow<'_>> =
            self.open(MinuteTable::HitRollup.name()).await?.with_setting("insert_deduplication_token", token);
        for row in rows {
            insert.write(&HitRollupRow::new(row, LIVE_GENERATION, plan, not_after)).await?;
        }
        fail::point("loader.insert.hits.sent");
        insert.end().await?;
        fail::point("loader.insert.hits.after");
        Ok(())
    }

    async fn send_sessions(
        &self,
        rows: &[SessionRow],
        plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        fail::point("loader.insert.sessions.before");
        let mut insert: Insert<SessionRollupRow<'_>> = self
            .open(MinuteTable::SessionRollup.name())
            .await?
            .with_setting("insert_deduplication_token", token);
        for row in rows {
            insert.write(&SessionRollupRow::new(row, LIVE_GENERATION, plan, not_after)).await?;
        }
        fail::point("loader.insert.sessions.sent");
        insert.end().await?;
        fail::point("loader.insert.sessions.after");
        Ok(())
    }

    async fn send_values(
        &self,
        rows: &[ValueRow],
        plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        fail::point("loader.insert.values.before");
        let mut insert: Insert<ValueRollupRow<'_>> = self
            .open(MinuteTable::ValueRollup.name())
            .await?
            .with_setting("insert_deduplication_token", token);
        for row in rows {
            insert.write(&ValueRollupRow::new(row, LIVE_GENERATION, plan, not_after)).await?;
        }
        fail::point("loader.insert.values.sent");
        insert.end().await?;
        fail::point("loader.insert.values.after");
        Ok(())
    }

    async fn send_items(
        &self,
        rows: &[ItemRow],
        plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        fail::point("loader.insert.items.before");
        let mut insert: Insert<ItemRollupRow<'_>> = self
            .open(MinuteTable::ItemRollup.name())
            .await?
            .with_setting("insert_deduplication_token", token);
        for row in rows {
            insert.write(&ItemRollupRow::new(row, LIVE_GENERATION, plan, not_after)).await?;
        }
        fail::point("loader.insert.items.sent");
        insert.end().await?;
        fail::point("loader.insert.items.after");
        Ok(())
    }

    async fn send_refusals(
        &self,
        rows: &[RefusalRow],
        plan: u64,
        token: &str,
        not_after: u32,
    ) -> Result<(), WarehouseError> {
        fail::point("loader.insert.refusals.before");
        let mut insert: Insert<RefusalRollupRow<'_>> = self
            .open(MinuteTable::RefusalRollup.name())
            .await?
            .with_setting("insert_deduplication_token", token);
        for row in rows {
            insert.write(&RefusalRollupRow::new(row, LIVE_GENERATION, plan, not_after)).await?;
        }
        fail::point("loader.insert.refusals.sent");
        insert.end().await?;
        fail::point("loader.insert.refusals.after");
        Ok(())
    }

    /// Sends rows of `watermark`. Without a token: the last plan's row wins, so a repeat changes nothing, and a token that
    /// outlived its rows would lose them.
    ///
    /// # Errors
    /// When the answer is not clean.
    pub async fn send_watermarks(&self, rows: &[WatermarkRow]) -> Result<(), WarehouseError> {
        fail::point("loader.insert.watermarks.before");
        let mut insert: Insert<WatermarkRow> =
            self.open(WATERMARK).await?.with_setting("insert_deduplicate", "0");
        for row in rows {
            insert.write(row).await?;
        }
        fail::point("loader.insert.watermarks.sent");
        insert.end().await?;
        fail::point("loader.insert.watermarks.after");
        Ok(())
    }

    /// An INSERT with its time-outs. The client asks for the table's columns before its first one.
    async fn open<T: clickhouse::Row>(&self, table: &'static str) -> Result<Insert<T>, WarehouseError> {
        let after_ms = self.config.receive_timeout_ms;
        let timeout = WarehouseError::Timeout { what: "the question for a table's columns", after_ms };
        let open = tokio::time::timeout(self.config.receive_timeout(), self.client.insert::<T>(table));
        let insert = open.await.map_err(|_| timeout)??;
        Ok(insert.with_timeouts(Some(self.config.send_timeout()), Some(self.config.receive_timeout())))
    }
}
