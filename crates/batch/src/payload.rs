//! Rollup rows as columns: a string dictionary and packed integers, compressed with zstd.
//!
//! In: normalized rows. Out: bytes that decode to exactly these rows. A payload that came over the network is data
//! from outside: every index, length and number is checked before a row is made.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hit::CUSTOM_METRICS;
use prost::Message;
use proto::batch::{
    HitColumns, ItemColumns, KeyColumns, RefusalColumns, RollupPayload, SessionColumns, ValueColumns,
};

use crate::rows::{HitRow, ItemRow, RefusalRow, RollupRows, RowKey, SessionRow, ValueRow};

/// zstd level: the payload is made once every few seconds, off the accept path.
const LEVEL: i32 = 3;
/// Bytes a payload may have after decompression.
const MAX_RAW_BYTES: usize = 256 * 1024 * 1024;

/// Why a payload does not read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// zstd refuses.
    #[error("rollup payload does not decompress: {0}")]
    Compression(std::io::Error),
    /// Not the message.
    #[error("rollup payload does not decode: {0}")]
    Message(#[from] prost::DecodeError),
    /// A column has another length than the first.
    #[error("column {column} has {found} values, expected {expected}")]
    Length {
        /// Name of the column.
        column: &'static str,
        /// Length of the first column.
        expected: usize,
        /// Length of this one.
        found: usize,
    },
    /// An index beyond the dictionary, or a number that does not fit its type.
    #[error("column {column} holds {value}, which is out of range")]
    Range {
        /// Name of the column.
        column: &'static str,
        /// What it held.
        value: u64,
    },
}

/// The bytes of these rows.
///
/// # Errors
/// When zstd fails (out of memory).
pub fn encode_rollup(rows: &RollupRows) -> Result<Vec<u8>, PayloadError> {
    let mut dictionary = Dictionary::default();
    let hits = hit_columns(&rows.hits, &mut dictionary);
    let sessions = session_columns(&rows.sessions, &mut dictionary);
    let values = value_columns(&rows.values, &mut dictionary);
    let items = item_columns(&rows.items, &mut dictionary);
    let refusals = refusal_columns(&rows.refusals, &mut dictionary);
    let message = RollupPayload {
        strings: dictionary.strings,
        hits: Some(hits),
        sessions: Some(sessions),
        values: Some(values),
        items: Some(items),
        refusals,
    };
    zstd::bulk::compress(&message.encode_to_vec(), LEVEL).map_err(PayloadError::Compression)
}

/// The rows in these bytes.
///
/// # Errors
/// When the bytes are not a payload this build can read; nothing is guessed.
pub fn decode_rollup(payload: &[u8]) -> Result<RollupRows, PayloadError> {
    let raw = decompress(payload)?;
    let message = RollupPayload::decode(raw.as_slice())?;
    let hits = message.hits.unwrap_or_default();
    let sessions = message.sessions.unwrap_or_default();
    let values = message.values.unwrap_or_default();
    let items = message.items.unwrap_or_default();
    let refusals = message.refusals.unwrap_or_default();
    let strings: Vec<Arc<str>> = message.strings.into_iter().map(Arc::from).collect();
    Ok(RollupRows {
        hits: hit_rows(&hits, &strings)?,
        sessions: session_rows(&sessions, &strings)?,
        values: value_rows(&values, &strings)?,
        items: item_rows(&items, &strings)?,
        refusals: refusal_rows(&refusals, &strings)?,
    })
}

/// Decompresses at most [`MAX_RAW_BYTES`], whatever the frame claims.
fn decompress(payload: &[u8]) -> Result<Vec<u8>, PayloadError> {
    use std::io::Read;
    let limit = u64::try_from(MAX_RAW_BYTES).unwrap_or(u64::MAX);
    let mut raw = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(payload).map_err(PayloadError::Compression)?;
    decoder.take(limit + 1).read_to_end(&mut raw).map_err(PayloadError::Compression)?;
    if raw.len() > MAX_RAW_BYTES {
        return Err(PayloadError::Range { column: "payload", value: limit + 1 });
    }
    Ok(raw)
}

/// Strings in order of first use.
#[derive(Default)]
struct Dictionary {
    index: HashMap<Arc<str>, u32, RandomState>,
    /// By where the text lies, for most texts of a batch are shared: quicker than hashing the text again.
    by_address: HashMap<usize, u32, RandomState>,
    strings: Vec<String>,
}

impl Dictionary {
    /// The rows that hold the texts outlive the dictionary, so that an address stands for one text.
    fn add(&mut self, text: &Arc<str>) -> u32 {
        let address = Arc::as_ptr(text).addr();
        if let Some(index) = self.by_address.get(&address) {
            return *index;
        }
        let index = self.index.get(text).copied().unwrap_or_else(|| self.push(text));
        self.by_address.insert(address, index);
        index
    }

    fn push(&mut self, text: &Arc<str>) -> u32 {
        // A batch has far fewer than 2^32 rows, hence strings.
        let index = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        self.strings.push(text.to_string());
        self.index.insert(Arc::clone(text), index);
        index
    }
}

fn push_key(columns: &mut KeyColumns, key: &RowKey, dictionary: &mut Dictionary) {
    columns.property.push(dictionary.add(&key.property));
    columns.local_date.push(key.local_date.into());
    columns.minute.push(key.minute);
    columns.utc_offset_s.push(key.utc_offset_s);
    columns.page_path.push(dictionary.add(&key.page_path));
    columns.source.push(dictionary.add(&key.source));
    columns.medium.push(dictionary.add(&key.medium));
    columns.campaign.push(dictionary.add(&key.campaign));
    columns.country.push(dictionary.add(&key.country));
    columns.device.push(dictionary.add(&key.device));
    columns.browser.push(dictionary.add(&key.browser));
    columns.operating_system.push(dictionary.add(&key.operating_system));
    columns.traffic_class.push(dictionary.add(&key.traffic_class));
}

/// Columns that may be left out, because they are empty in most batches or were added later.
fn optional_texts<'a, T>(
    rows: &'a [T],
    text: impl Fn(&'a T) -> &'a Arc<str>,
    dictionary: &mut Dictionary,
) -> Vec<u32> {
    if rows.iter().all(|row| text(row).is_empty()) {
        return Vec::new();
    }
    rows.iter().map(|row| dictionary.add(text(row))).collect()
}

/// Likewise.
fn optional_numbers<T>(rows: &[T], number: impl Fn(&T) -> u64) -> Vec<u64> {
    if rows.iter().all(|row| number(row) == 0) { Vec::new() } else { rows.iter().map(number).collect() }
}

/// The columns of keys that may be left out.
fn add_optional<'a, T>(
    columns: &mut KeyColumns,
    rows: &'a [T],
    key: impl Fn(&'a T) -> &'a RowKey,
    dictionary: &mut Dictionary,
) {
    columns.hostname = optional_texts(rows, |row| &key(row).hostname, dictionary);
    columns.region = optional_texts(rows, |row| &key(row).region, dictionary);
    columns.city = optional_texts(rows, |row| &key(row).city, dictionary);
    columns.browser_version = optional_texts(rows, |row| &key(row).browser_version, dictionary);
    columns.operating_system_version =
        optional_texts(rows, |row| &key(row).operating_system_version, dictionary);
    columns.device_brand = optional_texts(rows, |row| &key(row).device_brand, dictionary);
    columns.traffic_reason = optional_texts(rows, |row| &key(row).traffic_reason, dictionary);
    columns.visitor_type = optional_texts(rows, |row| &key(row).visitor_type, dictionary);
    columns.first_source = optional_texts(rows, |row| &key(row).first_source, dictionary);
}

fn hit_columns(rows: &[HitRow], dictionary: &mut Dictionary) -> HitColumns {
    let mut columns = HitColumns::default();
    let mut key = KeyColumns::default();
    for row in rows {
        push_key(&mut key, &row.key, dictionary);
        columns.event_name.push(dictionary.add(&row.event_name));
        columns.page_views.push(row.page_views);
        columns.events.push(row.events);
        columns.sessions.push(row.sessions);
        columns.engagement_ms.push(row.engagement_ms);
        columns.visitors_count.push(u32::try_from(row.visitors.len()).unwrap_or(u32::MAX));
        columns.visitors.extend_from_slice(&row.visitors);
        columns.new_visitors_count.push(u32::try_from(row.new_visitors.len()).unwrap_or(u32::MAX));
        columns.new_visitors.extend_from_slice(&row.new_visitors);
    }
    columns.currency = optional_texts(rows, |row| &row.currency, dictionary);
    columns.page_title = optional_texts(rows, |row| &row.page_title, dictionary);
    columns.custom = optional_texts(rows, |row| &row.custom, dictionary);
    columns.revenue_micros = optional_numbers(rows, |row| row.revenue_micros);
    columns.key_events = optional_numbers(rows, |row| row.key_events);
    columns.custom_metric_1_micros = optional_numbers(rows, |row| row.custom_micros[0]);
    columns.custom_metric_2_micros = optional_numbers(rows, |row| row.custom_micros[1]);
    columns.custom_metric_3_micros = optional_numbers(rows, |row| row.custom_micros[2]);
    columns.custom_metric_4_micros = optional_numbers(rows, |row| row.custom_micros[3]);
    columns.custom_metric_5_micros = optional_numbers(rows, |row| row.custom_micros[4]);
    add_optional(&mut key, rows, |row| &row.key, dictionary);
    columns.key = Some(key);
    columns
}

fn session_columns(rows: &[SessionRow], dictionary: &mut Dictionary) -> SessionColumns {
    let mut columns = SessionColumns::default();
    let mut key = KeyColumns::default();
    for row in rows {
        push_key(&mut key, &row.key, dictionary);
        columns.exit_page.push(dictionary.add(&row.exit_page));
        columns.sessions.push(row.sessions);
        columns.engaged_sessions.push(row.engaged_sessions);
        columns.page_views.push(row.page_views);
        columns.events.push(row.events);
        columns.duration_ms.push(row.duration_ms);
    }
    add_optional(&mut key, rows, |row| &row.key, dictionary);
    columns.key = Some(key);
    columns
}

fn value_columns(rows: &[ValueRow], dictionary: &mut Dictionary) -> ValueColumns {
    let mut columns = ValueColumns::default();
    let mut key = KeyColumns::default();
    for row in rows {
        push_key(&mut key, &row.key, dictionary);
        columns.name.push(dictionary.add(&row.name));
        columns.value.push(row.value);
        columns.count.push(row.count);
    }
    add_optional(&mut key, rows, |row| &row.key, dictionary);
    columns.key = Some(key);
    columns
}

fn item_columns(rows: &[ItemRow], dictionary: &mut Dictionary) -> ItemColumns {
    let mut columns = ItemColumns::default();
    let mut key = KeyColumns::default();
    for row in rows {
        push_key(&mut key, &row.key, dictionary);
        columns.lines.push(row.lines);
    }
    columns.item_id = optional_texts(rows, |row| &row.item_id, dictionary);
    columns.item_name = optional_texts(rows, |row| &row.item_name, dictionary);
    columns.item_brand = optional_texts(rows, |row| &row.item_brand, dictionary);
    columns.item_category = optional_texts(rows, |row| &row.item_category, dictionary);
    columns.item_variant = optional_texts(rows, |row| &row.item_variant, dictionary);
    columns.currency = optional_texts(rows, |row| &row.currency, dictionary);
    columns.custom = optional_texts(rows, |row| &row.custom, dictionary);
    columns.items_viewed = optional_numbers(rows, |row| row.items_viewed);
    columns.items_added_to_cart = optional_numbers(rows, |row| row.items_added_to_cart);
    columns.items_checked_out = optional_numbers(rows, |row| row.items_checked_out);
    columns.items_purchased = optional_numbers(rows, |row| row.items_purchased);
    columns.item_revenue_micros = optional_numbers(rows, |row| row.item_revenue_micros);
    add_optional(&mut key, rows, |row| &row.key, dictionary);
    columns.key = Some(key);
    columns
}

/// `None` of no row, as in most batches.
fn refusal_columns(rows: &[RefusalRow], dictionary: &mut Dictionary) -> Option<RefusalColumns> {
    let mut columns = RefusalColumns::default();
    for row in rows {
        columns.property.push(dictionary.add(&row.property));
        columns.local_date.push(row.local_date.into());
        columns.minute.push(row.minute);
        columns.utc_offset_s.push(row.utc_offset_s);
        columns.reason.push(dictionary.add(&row.reason));
        columns.hits.push(row.hits);
    }
    (!rows.is_empty()).then_some(columns)
}

/// Columns of one table, checked to have one length.
struct Table<'a> {
    rows: usize,
    strings: &'a [Arc<str>],
}

impl Table<'_> {
    fn check<T>(&self, column: &'static str, values: &[T]) -> Result<(), PayloadError> {
        if values.len() == self.rows {
            return Ok(());
        }
        Err(PayloadError::Length { column, expected: self.rows, found: values.len() })
    }

    fn check_optional<T>(&self, column: &'static str, values: &[T]) -> Result<(), PayloadError> {
        if values.is_empty() { Ok(()) } else { self.check(column, values) }
    }

    /// The text of a row in a column that may be left out.
    fn optional_text(
        &self,
        column: &'static str,
        values: &[u32],
        at: usize,
    ) -> Result<Arc<str>, PayloadError> {
        values.get(at).map_or_else(|| Ok(Arc::default()), |index| self.text(column, *index))
    }

    fn text(&self, column: &'static str, index: u32) -> Result<Arc<str>, PayloadError> {
        let found = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        found.cloned().ok_or(PayloadError::Range { column, value: index.into() })
    }

    fn check_key(&self, key: &KeyColumns) -> Result<(), PayloadError> {
        self.check("local_date", &key.local_date)?;
        self.check("minute", &key.minute)?;
        self.check("utc_offset_s", &key.utc_offset_s)?;
        self.check("page_path", &key.page_path)?;
        self.check("source", &key.source)?;
        self.check("medium", &key.medium)?;
        self.check("campaign", &key.campaign)?;
        self.check("country", &key.country)?;
        self.check("device", &key.device)?;
        self.check("browser", &key.browser)?;
        self.check("operating_system", &key.operating_system)?;
        self.check("traffic_class", &key.traffic_class)?;
        self.check_optional("hostname", &key.hostname)?;
        self.check_optional("region", &key.region)?;
        self.check_optional("city", &key.city)?;
        self.check_optional("browser_version", &key.browser_version)?;
        self.check_optional("operating_system_version", &key.operating_system_version)?;
        self.check_optional("device_brand", &key.device_brand)?;
        self.check_optional("traffic_reason", &key.traffic_reason)?;
        self.check_optional("visitor_type", &key.visitor_type)?;
        self.check_optional("first_source", &key.first_source)?;
        Ok(())
    }

    /// Row `at` of key columns that passed `check_key`.
    fn key(&self, key: &KeyColumns, at: usize) -> Result<RowKey, PayloadError> {
        Ok(RowKey {
            property: self.text("property", key.property[at])?,
            local_date: date(key.local_date[at])?,
            minute: key.minute[at],
            utc_offset_s: key.utc_offset_s[at],
            traffic_class: self.text("traffic_class", key.traffic_class[at])?,
            page_path: self.text("page_path", key.page_path[at])?,
            source: self.text("source", key.source[at])?,
            medium: self.text("medium", key.medium[at])?,
            campaign: self.text("campaign", key.campaign[at])?,
            country: self.text("country", key.country[at])?,
            device: self.text("device", key.device[at])?,
            browser: self.text("browser", key.browser[at])?,
            operating_system: self.text("operating_system", key.operating_system[at])?,
            hostname: self.optional_text("hostname", &key.hostname, at)?,
            region: self.optional_text("region", &key.region, at)?,
            city: self.optional_text("city", &key.city, at)?,
            browser_version: self.optional_text("browser_version", &key.browser_version, at)?,
            operating_system_version: self.optional_text(
                "operating_system_version",
                &key.operating_system_version,
                at,
            )?,
            device_brand: self.optional_text("device_brand", &key.device_brand, at)?,
            traffic_reason: self.optional_text("traffic_reason", &key.traffic_reason, at)?,
            visitor_type: self.optional_text("visitor_type", &key.visitor_type, at)?,
            first_source: self.optional_text("first_source", &key.first_source, at)?,
        })
    }
}

fn hit_rows(columns: &HitColumns, strings: &[Arc<str>]) -> Result<Vec<HitRow>, PayloadError> {
    let empty = KeyColumns::default();
    let key = columns.key.as_ref().unwrap_or(&empty);
    let table = Table { rows: key.property.len(), strings };
    table.check_key(key)?;
    table.check("event_name", &columns.event_name)?;
    table.check("page_views", &columns.page_views)?;
    table.check("events", &columns.events)?;
    table.check("sessions", &columns.sessions)?;
    table.check("engagement_ms", &columns.engagement_ms)?;
    table.check("visitors_count", &columns.visitors_count)?;
    table.check("new_visitors_count", &columns.new_visitors_count)?;
    table.check_optional("currency", &columns.currency)?;
    table.check_optional("page_title", &columns.page_title)?;
    table.check_optional("custom", &columns.custom)?;
    table.check_optional("revenue_micros", &columns.revenue_micros)?;
    table.check_optional("key_events", &columns.key_events)?;
    let custom_metrics = custom_metrics(columns);
    for (column, values) in custom_metrics {
        table.check_optional(column, values)?;
    }
    let mut visitors = columns.visitors.as_slice();
    let mut new_visitors = columns.new_visitors.as_slice();
    let mut rows = Vec::with_capacity(table.rows);
    for at in 0..table.rows {
        rows.push(HitRow {
            key: table.key(key, at)?,
            event_name: table.text("event_name", columns.event_name[at])?,
            currency: table.optional_text("currency", &columns.currency, at)?,
            page_title: table.optional_text("page_title", &columns.page_title, at)?,
            custom: table.optional_text("custom", &columns.custom, at)?,
            page_views: columns.page_views[at],
            events: columns.events[at],
            sessions: columns.sessions[at],
            engagement_ms: columns.engagement_ms[at],
            visitors: take_ids("visitors", &mut visitors, columns.visitors_count[at])?,
            new_visitors: take_ids("new_visitors", &mut new_visitors, columns.new_visitors_count[at])?,
            revenue_micros: columns.revenue_micros.get(at).copied().unwrap_or(0),
            key_events: columns.key_events.get(at).copied().unwrap_or(0),
            custom_micros: custom_metrics.map(|(_, values)| values.get(at).copied().unwrap_or(0)),
        });
    }
    if !visitors.is_empty() || !new_visitors.is_empty() {
        let left = u64::try_from(visitors.len() + new_visitors.len()).unwrap_or(u64::MAX);
        return Err(PayloadError::Range { column: "visitors", value: left });
    }
    Ok(rows)
}

/// Their columns by slot.
fn custom_metrics(columns: &HitColumns) -> [(&'static str, &[u64]); CUSTOM_METRICS as usize] {
    [
        ("custom_metric_1_micros", &columns.custom_metric_1_micros),
        ("custom_metric_2_micros", &columns.custom_metric_2_micros),
        ("custom_metric_3_micros", &columns.custom_metric_3_micros),
        ("custom_metric_4_micros", &columns.custom_metric_4_micros),
        ("custom_metric_5_micros", &columns.custom_metric_5_micros),
    ]
}

fn session_rows(columns: &SessionColumns, strings: &[Arc<str>]) -> Result<Vec<SessionRow>, PayloadError> {
    let empty = KeyColumns::default();
    let key = columns.key.as_ref().unwrap_or(&empty);
    let table = Table { rows: key.property.len(), strings };
    table.check_key(key)?;
    table.check("exit_page", &columns.exit_page)?;
    table.check("sessions", &columns.sessions)?;
    table.check("engaged_sessions", &columns.engaged_sessions)?;
    table.check("page_views", &columns.page_views)?;
    table.check("events", &columns.events)?;
    table.check("duration_ms", &columns.duration_ms)?;
    (0..table.rows)
        .map(|at| {
            Ok(SessionRow {
                key: table.key(key, at)?,
                exit_page: table.text("exit_page", columns.exit_page[at])?,
                sessions: columns.sessions[at],
                engaged_sessions: columns.engaged_sessions[at],
                page_views: columns.page_views[at],
                events: columns.events[at],
                duration_ms: columns.duration_ms[at],
            })
        })
        .collect()
}

fn value_rows(columns: &ValueColumns, strings: &[Arc<str>]) -> Result<Vec<ValueRow>, PayloadError> {
    let empty = KeyColumns::default();
    let key = columns.key.as_ref().unwrap_or(&empty);
    let table = Table { rows: key.property.len(), strings };
    table.check_key(key)?;
    table.check("name", &columns.name)?;
    table.check("value", &columns.value)?;
    table.check("count", &columns.count)?;
    (0..table.rows)
        .map(|at| {
            Ok(ValueRow {
                key: table.key(key, at)?,
                name: table.text("name", columns.name[at])?,
                value: columns.value[at],
                count: columns.count[at],
            })
        })
        .collect()
}

fn item_rows(columns: &ItemColumns, strings: &[Arc<str>]) -> Result<Vec<ItemRow>, PayloadError> {
    let empty = KeyColumns::default();
    let key = columns.key.as_ref().unwrap_or(&empty);
    let table = Table { rows: key.property.len(), strings };
    table.check_key(key)?;
    table.check("lines", &columns.lines)?;
    for (column, values) in [
        ("item_id", &columns.item_id),
        ("item_name", &columns.item_name),
        ("item_brand", &columns.item_brand),
        ("item_category", &columns.item_category),
        ("item_variant", &columns.item_variant),
        ("currency", &columns.currency),
        ("custom", &columns.custom),
    ] {
        table.check_optional(column, values)?;
    }
    for (column, values) in [
        ("items_viewed", &columns.items_viewed),
        ("items_added_to_cart", &columns.items_added_to_cart),
        ("items_checked_out", &columns.items_checked_out),
        ("items_purchased", &columns.items_purchased),
        ("item_revenue_micros", &columns.item_revenue_micros),
    ] {
        table.check_optional(column, values)?;
    }
    let number = |values: &[u64], at: usize| values.get(at).copied().unwrap_or(0);
    (0..table.rows)
        .map(|at| {
            Ok(ItemRow {
                key: table.key(key, at)?,
                item_id: table.optional_text("item_id", &columns.item_id, at)?,
                item_name: table.optional_text("item_name", &columns.item_name, at)?,
                item_brand: table.optional_text("item_brand", &columns.item_brand, at)?,
                item_category: table.optional_text("item_category", &columns.item_category, at)?,
                item_variant: table.optional_text("item_variant", &columns.item_variant, at)?,
                currency: table.optional_text("currency", &columns.currency, at)?,
                custom: table.optional_text("custom", &columns.custom, at)?,
                lines: columns.lines[at],
                items_viewed: number(&columns.items_viewed, at),
                items_added_to_cart: number(&columns.items_added_to_cart, at),
                items_checked_out: number(&columns.items_checked_out, at),
                items_purchased: number(&columns.items_purchased, at),
                item_revenue_micros: number(&columns.item_revenue_micros, at),
            })
        })
        .collect()
}

fn refusal_rows(columns: &RefusalColumns, strings: &[Arc<str>]) -> Result<Vec<RefusalRow>, PayloadError> {
    let table = Table { rows: columns.property.len(), strings };
    table.check("local_date", &columns.local_date)?;
    table.check("minute", &columns.minute)?;
    table.check("utc_offset_s", &columns.utc_offset_s)?;
    table.check("reason", &columns.reason)?;
    table.check("hits", &columns.hits)?;
    (0..table.rows)
        .map(|at| {
            Ok(RefusalRow {
                property: table.text("property", columns.property[at])?,
                local_date: date(columns.local_date[at])?,
                minute: columns.minute[at],
                utc_offset_s: columns.utc_offset_s[at],
                reason: table.text("reason", columns.reason[at])?,
                hits: columns.hits[at],
            })
        })
        .collect()
}

fn date(days: u32) -> Result<u16, PayloadError> {
    u16::try_from(days).map_err(|_| PayloadError::Range { column: "local_date", value: days.into() })
}

/// Takes the next `count` ids off the front of all rows' ids.
fn take_ids(column: &'static str, ids: &mut &[u64], count: u32) -> Result<Vec<u64>, PayloadError> {
    let at = usize::try_from(count).unwrap_or(usize::MAX);
    let (taken, rest) =
        ids.split_at_checked(at).ok_or(PayloadError::Range { column, value: count.into() })?;
    *ids = rest;
    Ok(taken.to_vec())
}

#[cfg(test)]
mod tests;
