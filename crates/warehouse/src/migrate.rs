//! Numbered SQL files, applied in order and recorded in the table `migrations`.
//!
//! In: the files of `migrations/`, built into the program. Out: the tables. Every statement may be repeated (`IF NOT
//! EXISTS`), so several loaders may migrate at once and a kill in the middle is cured by the next start. A file that
//! was applied never changes: its SHA-256 is recorded, and another one is an error. Statements run one at a time.

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::{WarehouseConfig, client, server_client};
use crate::error::WarehouseError;
use crate::tables::MinuteTable;

/// Number, name and text of every migration, in order.
const FILES: [(u32, &str, &str); 14] = [
    (1, "minute_tables", include_str!("../migrations/0001_minute_tables.sql")),
    (2, "hourly_tables", include_str!("../migrations/0002_hourly_tables.sql")),
    (3, "hourly_views", include_str!("../migrations/0003_hourly_views.sql")),
    (4, "watermark", include_str!("../migrations/0004_watermark.sql")),
    (5, "hourly_codecs", include_str!("../migrations/0005_hourly_codecs.sql")),
    (6, "more_dimensions", include_str!("../migrations/0006_more_dimensions.sql")),
    (7, "more_dimensions_views", include_str!("../migrations/0007_more_dimensions_views.sql")),
    (8, "values", include_str!("../migrations/0008_values.sql")),
    (9, "values_view", include_str!("../migrations/0009_values_view.sql")),
    (10, "items", include_str!("../migrations/0010_items.sql")),
    (11, "items_view", include_str!("../migrations/0011_items_view.sql")),
    (12, "refusals", include_str!("../migrations/0012_refusals.sql")),
    (13, "refusals_view", include_str!("../migrations/0013_refusals_view.sql")),
    (14, "titles_and_custom_metrics", include_str!("../migrations/0014_titles_and_custom_metrics.sql")),
];

/// The record itself; not a numbered file, because the numbers stand in it.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS migrations
(
    number UInt32 COMMENT 'Number of the file',
    name String COMMENT 'Name of the file',
    sha256 String COMMENT 'Of its text, hexadecimal',
    applied_at DateTime('UTC') DEFAULT now() COMMENT 'When the last statement had run'
)
ENGINE = {engine:ReplacingMergeTree(applied_at)}
ORDER BY number";

/// Why the tables could not be brought to this build's form.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A statement failed; the next start tries again.
    #[error("migration {number:04} ({name}) failed: {source}")]
    Statement {
        /// Number of the file; 0: database and record.
        number: u32,
        /// Name of the file.
        name: &'static str,
        /// What the warehouse said.
        source: WarehouseError,
    },
    /// A file differs from the one that was applied.
    #[error(
        "migration {number:04} ({name}) was applied with SHA-256 {applied} and is {found} in this build: \
         an applied migration never changes, add a new one"
    )]
    Changed {
        /// Number of the file.
        number: u32,
        /// Its name.
        name: &'static str,
        /// As recorded.
        applied: String,
        /// As built in.
        found: String,
    },
    /// A later build has been here.
    #[error(
        "the warehouse has migration {0:04}, which this build does not know: use the build that applied it, or a later one"
    )]
    Newer(u32),
}

impl MigrateError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.is_retryable())
    }
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct Applied {
    number: u32,
    name: String,
    sha256: String,
}

/// Makes the database and brings its tables to the form of this build. May run in several processes at once.
///
/// # Errors
/// When the warehouse cannot be reached or refuses a statement, a file was changed after it had been applied, or the
/// tables are of a later build.
pub async fn migrate(config: &WarehouseConfig) -> Result<(), MigrateError> {
    let failed = |source| MigrateError::Statement { number: 0, name: "record", source };
    let server = server_client(config).map_err(failed)?;
    let database = format!("CREATE DATABASE IF NOT EXISTS {}", config.database);
    execute(&server, config, &database).await.map_err(failed)?;
    let client = client(config).map_err(failed)?;
    execute(&client, config, &fill(RECORD, config)).await.map_err(failed)?;
    let applied = read_record(&client, config).await.map_err(failed)?;
    for (number, name, text) in pending(&FILES, &applied)? {
        let failed = |source| MigrateError::Statement { number, name, source };
        for statement in statements(&fill(text, config)) {
            execute(&client, config, &statement).await.map_err(failed)?;
        }
        let record = Applied { number, name: name.to_owned(), sha256: hash(text) };
        write_record(&client, config, &record).await.map_err(failed)?;
        tracing::info!(number, name, "migration applied");
    }
    set_fsync(&client, config).await.map_err(failed)
}

/// The files still to apply, after checking those that were.
fn pending(
    files: &[(u32, &'static str, &'static str)],
    applied: &[Applied],
) -> Result<Vec<(u32, &'static str, &'static str)>, MigrateError> {
    let known = |number| files.iter().any(|(file, ..)| *file == number);
    if let Some(newer) = applied.iter().find(|record| !known(record.number)) {
        return Err(MigrateError::Newer(newer.number));
    }
    let mut pending = Vec::new();
    for (number, name, text) in files {
        let found = hash(text);
        match applied.iter().find(|record| record.number == *number) {
            None => pending.push((*number, *name, *text)),
            Some(record) if record.sha256 == found => {}
            Some(record) => {
                let applied = record.sha256.clone();
                return Err(MigrateError::Changed { number: *number, name, applied, found });
            }
        }
    }
    Ok(pending)
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Fills in `{engine:NAME}` (the plain engine of that name) and `{minute_ttl_days}`.
fn fill(text: &str, config: &WarehouseConfig) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{engine:") {
        let (engine, behind) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(engine);
        rest = behind;
    }
    filled.push_str(rest);
    filled.replace("{minute_ttl_days}", &config.minute_ttl_days.to_string())
}

/// The statements of a file: each ends with a semicolon at the end of a line; lines that begin with `--` are left out.
fn statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.starts_with("--") && !line.trim().is_empty()) {
        current.push_str(line.strip_suffix(';').unwrap_or(line));
        if line.ends_with(';') {
            statements.push(std::mem::take(&mut current));
        } else {
            current.push('\n');
        }
    }
    if !current.is_empty() {
        statements.push(current);
    }
    statements
}

/// Whether inserts are synced is a setting of the table, and the configuration may change.
async fn set_fsync(client: &Client, config: &WarehouseConfig) -> Result<(), WarehouseError> {
    let wanted = u8::from(config.fsync);
    let names = MinuteTable::ALL.map(MinuteTable::name);
    let hourly = crate::tables::HOURLY.map(|table| table.name);
    for table in names.into_iter().chain(hourly) {
        let sql = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?";
        let engine: String = config.within("SELECT", client.query(sql).bind(table).fetch_one()).await?;
        let is_set = engine.contains("fsync_after_insert = 1");
        if is_set != config.fsync {
            let sql = format!(
                "ALTER TABLE {table} MODIFY SETTING fsync_after_insert = {wanted}, fsync_part_directory = {wanted}"
            );
            execute(client, config, &sql).await?;
        }
    }
    Ok(())
}

async fn execute(client: &Client, config: &WarehouseConfig, sql: &str) -> Result<(), WarehouseError> {
    config.within("a migration", client.query_raw(sql).execute()).await
}

async fn read_record(client: &Client, config: &WarehouseConfig) -> Result<Vec<Applied>, WarehouseError> {
    let sql = "SELECT number, argMax(m.name, applied_at) AS name, argMax(m.sha256, applied_at) AS sha256 \
               FROM migrations AS m GROUP BY number ORDER BY number";
    config.within("SELECT", client.query(sql).fetch_all()).await
}

async fn write_record(
    client: &Client,
    config: &WarehouseConfig,
    record: &Applied,
) -> Result<(), WarehouseError> {
    let write = async {
        let mut insert = client.insert::<Applied>(crate::tables::MIGRATIONS).await?;
        insert.write(record).await?;
        insert.end().await
    };
    config.within("INSERT", write).await
}

#[cfg(test)]
mod tests;
