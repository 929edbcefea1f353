//! Minute rows written by hand: a local time with its zone, a page, an event, and the counts.

use batch::{HitRow, ItemRow, RefusalRow, RollupRows, RowKey, SessionRow, ValueRow};
use jiff::Zoned;
use warehouse::{
    HitRollupRow, ItemRollupRow, RefusalRollupRow, SessionRollupRow, ValueRollupRow, WarehouseConfig,
    WatermarkRow,
};

/// 2100: rows never come too late here.
const NOT_AFTER_S: u32 = 4_102_444_800;

/// The key of a row at this local time, `2015-05-17T10:05+05:30[Asia/Kolkata]`, from this source.
pub(crate) fn key(property: &str, at: &str, page: &str, source: &str) -> anyhow::Result<RowKey> {
    let at: Zoned = at.parse()?;
    let days = at.date().since(jiff::civil::date(1970, 1, 1))?.get_days();
    Ok(RowKey {
        property: property.into(),
        local_date: u16::try_from(days)?,
        minute: u32::try_from(at.timestamp().as_second() / 60)?,
        utc_offset_s: at.offset().seconds(),
        traffic_class: "human".into(),
        page_path: page.into(),
        source: source.into(),
        medium: "organic".into(),
        campaign: "".into(),
        country: "IN".into(),
        device: "desktop".into(),
        browser: "Firefox".into(),
        operating_system: "Linux".into(),
        ..RowKey::default()
    })
}

/// Page views of one visitor.
pub(crate) fn views(key: RowKey, views: u64, visitor: u64) -> HitRow {
    HitRow {
        key,
        event_name: "page_view".into(),
        page_views: views,
        events: views,
        sessions: 0,
        engagement_ms: 0,
        visitors: vec![visitor],
        new_visitors: vec![],
        ..HitRow::default()
    }
}

/// One closed session.
pub(crate) fn closed(key: RowKey, exit_page: &str, engaged: u64, duration_ms: u64) -> SessionRow {
    SessionRow {
        key,
        exit_page: exit_page.into(),
        sessions: 1,
        engaged_sessions: engaged,
        page_views: 1,
        events: 1,
        duration_ms,
    }
}

/// A value that was measured so often.
pub(crate) fn measured(key: RowKey, name: &str, value: u32, count: u64) -> ValueRow {
    ValueRow { key, name: name.into(), value, count }
}

/// An item that was viewed once, put into a cart twice, checked out three times, and bought so often for so much.
pub(crate) fn item(
    key: RowKey,
    name: &str,
    currency: &str,
    bought: u64,
    item_revenue_micros: u64,
) -> ItemRow {
    ItemRow {
        key,
        item_id: format!("id of {name}").into(),
        item_name: name.into(),
        currency: currency.into(),
        lines: 1,
        items_viewed: 1,
        items_added_to_cart: 2,
        items_checked_out: 3,
        items_purchased: bought,
        item_revenue_micros,
        ..ItemRow::default()
    }
}

/// Hits that were not counted, received at the time of this key.
pub(crate) fn refused(key: &RowKey, reason: &str, hits: u64) -> RefusalRow {
    RefusalRow {
        property: key.property.clone(),
        local_date: key.local_date,
        minute: key.minute,
        utc_offset_s: key.utc_offset_s,
        reason: reason.into(),
        hits,
    }
}

/// Inserts as plan 1 of this generation.
pub(crate) async fn insert(
    config: &WarehouseConfig,
    generation: u32,
    rows: &RollupRows,
) -> anyhow::Result<()> {
    let client = warehouse::client(config)?;
    let mut insert = client.insert::<HitRollupRow<'_>>("hit_rollup").await?;
    for row in &rows.hits {
        insert.write(&HitRollupRow::new(row, generation, 1, NOT_AFTER_S)).await?;
    }
    insert.end().await?;
    let mut insert = client.insert::<SessionRollupRow<'_>>("session_rollup").await?;
    for row in &rows.sessions {
        insert.write(&SessionRollupRow::new(row, generation, 1, NOT_AFTER_S)).await?;
    }
    insert.end().await?;
    let mut insert = client.insert::<ValueRollupRow<'_>>("value_rollup").await?;
    for row in &rows.values {
        insert.write(&ValueRollupRow::new(row, generation, 1, NOT_AFTER_S)).await?;
    }
    insert.end().await?;
    let mut insert = client.insert::<ItemRollupRow<'_>>("item_rollup").await?;
    for row in &rows.items {
        insert.write(&ItemRollupRow::new(row, generation, 1, NOT_AFTER_S)).await?;
    }
    insert.end().await?;
    let mut insert = client.insert::<RefusalRollupRow<'_>>("refusal_rollup").await?;
    for row in &rows.refusals {
        insert.write(&RefusalRollupRow::new(row, generation, 1, NOT_AFTER_S)).await?;
    }
    insert.end().await?;
    Ok(())
}

/// Says that this edge is loaded until then.
pub(crate) async fn watermark(
    config: &WarehouseConfig,
    edge: &str,
    epoch: &str,
    until_ms: i64,
) -> anyhow::Result<()> {
    let mut insert = warehouse::client(config)?.insert::<WatermarkRow>("watermark").await?;
    insert
        .write(&WatermarkRow {
            edge: edge.into(),
            epoch: epoch.into(),
            lane: "rollup".into(),
            shard: 0,
            plan: 1,
            seq: 1,
            position: 1,
            complete_until: until_ms,
        })
        .await?;
    Ok(insert.end().await?)
}
