//! Plans and checkpoints: the JSON objects of the plan log.
//!
//! Constraints: an object is created once and never changed; a reader that meets a format or field it does not know
//! stops. Keys: `plans/{shard}/{n:020}.json`, `plans/{shard}/{n:020}.done.json`, `plans/{shard}/{n:020}.repair.json`,
//! `checkpoints/{shard}/{n:020}.json`, `erased/{shard}/{n:020}.json`.
//! Recovery: state is the newest checkpoint plus the takes of the plans after it that are done.

use std::fmt;
use std::str::FromStr;

use erasure::{JobId, What};
use hit::{EdgeId, Epoch};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use warehouse::tables::{MinuteTable, PLANS_PER_GROUP};

/// Format that this build writes and reads.
pub const FORMAT: u32 = 1;
/// The one lane that is loaded.
pub const LANE: &str = "rollup";

/// The batches of one edge and epoch on the rollup lane, in order of seq.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// Who made them.
    pub edge: EdgeId,
    /// In which data directory.
    pub epoch: Epoch,
}

/// What one plan puts into the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// Range of slots it is for.
    pub shard: u16,
    /// Counts the plans of the shard from 1.
    pub n: u64,
    /// Loader that created it; anyone may run it.
    pub created_by: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Number that its rows carry in the column `plan`. Rises with `n`, and jumps to the next group of 4096 when a group
    /// gets old: a repair rebuilds a group's hours from its minute rows, so none of them may have expired by then.
    pub rows_plan: u64,
    /// When the first plan of its group was created, unix milliseconds.
    pub group_started_at_ms: u64,
    /// Batches, at most one entry per edge and epoch.
    pub takes: Vec<Take>,
    /// Batches within the takes whose rows are left out.
    pub skips: Vec<Skip>,
    /// Every INSERT, in the order in which they are sent.
    pub inserts: Vec<InsertStep>,
    /// Properties in its takes that were deleted before it: their rows are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What it removes; it takes nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase: Option<Erase>,
}

/// What a plan removes of all that plans before it inserted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The job it carries out.
    pub job: JobId,
    /// When the job was requested, unix milliseconds.
    pub requested_at_ms: u64,
    /// What goes.
    pub what: What,
}

/// What plan `n` removed, copied to `erased/{shard}/{n:020}.json` before its first statement: it outlives the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// [`FORMAT`].
    pub format: u32,
    /// Shard.
    pub shard: u16,
    /// The plan.
    pub n: u64,
    /// Its `rows_plan`: rows with a smaller one were to go.
    pub rows_plan: u64,
    /// When the plan was created, unix milliseconds.
    pub created_at_ms: u64,
    /// What went.
    pub erase: Erase,
    /// Of visitors: hours that are rebuilt from minutes, as found before the first statement changed those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<GroupDate>,
    /// Of visitors: hours that cannot be rebuilt any more, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// Hours of one plan group and date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDate {
    /// The group.
    pub group: u64,
    /// The date.
    pub date: LocalDate,
}

/// Hours of an hourly table whose minutes are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The table.
    pub table: String,
    /// First local date.
    pub from: LocalDate,
    /// Last local date.
    pub to: LocalDate,
}

/// Consecutive batches of one edge and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Edge.
    pub edge: EdgeId,
    /// Epoch.
    pub epoch: Epoch,
    /// [`LANE`].
    pub lane: String,
    /// First batch.
    pub seq_from: u64,
    /// Last batch.
    pub seq_to: u64,
    /// First WAL position.
    pub from: u64,
    /// First WAL position after it.
    pub to: u64,
    /// Every hit received before this time (unix ms) is in these batches or earlier ones.
    pub complete_until_ms: u64,
    /// CRC-32C over the payload checksums of the batches in order: whoever runs the plan reads these bytes and no others.
    pub crc32c: u32,
    /// Segments that hold the batches, each once.
    pub segments: Vec<String>,
    /// Hits of the properties that the plan leaves out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erased_hits: u64,
}

/// A batch that is taken without its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// Edge.
    pub edge: EdgeId,
    /// Epoch.
    pub epoch: Epoch,
    /// [`LANE`].
    pub lane: String,
    /// The batch.
    pub seq: u64,
    /// First WAL position.
    pub from: u64,
    /// First WAL position after it.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// One INSERT: rows of one table and one date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertStep {
    /// Name of the minute table.
    pub table: String,
    /// Local date of all rows.
    pub local_date: LocalDate,
    /// Counts the INSERTs of this table and date from 0.
    pub chunk: u32,
    /// Rows.
    pub rows: u64,
    /// Sum of the table's count column.
    pub hits: u64,
    /// Deduplication token.
    pub token: String,
}

/// How far one stream has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Edge.
    pub edge: EdgeId,
    /// Epoch.
    pub epoch: Epoch,
    /// [`LANE`].
    pub lane: String,
    /// Last batch taken.
    pub seq: u64,
    /// First WAL position not taken.
    pub position: u64,
    /// Every hit received before this time (unix ms) is taken.
    pub complete_until_ms: u64,
    /// Hits in batches that were skipped, since the epoch began.
    pub quarantined_hits: u64,
    /// Hits of deleted properties that were left out, since the epoch began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erased_hits: u64,
}

/// The state after plan `n`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// [`FORMAT`].
    pub format: u32,
    /// Shard.
    pub shard: u16,
    /// Last plan that is in it.
    pub n: u64,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// `rows_plan` of plan `n`.
    pub rows_plan: u64,
    /// `group_started_at_ms` of plan `n`.
    pub group_started_at_ms: u64,
    /// All streams.
    pub marks: Vec<Mark>,
}

/// Days since 1970-01-01; `2015-05-17` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalDate(pub u16);

/// A text that is no date of 1970-01-01 to 2149-06-06, which is what the warehouse's type `Date` holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date such as 2015-05-17 that the warehouse can hold")]
pub struct DateError(String);

const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 65,535 days from 1970 end in 2149, which jiff holds: the addition saturates for form's sake only.
        write!(f, "{}", self.civil())
    }
}

impl FromStr for LocalDate {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let wrong = || DateError(text.to_owned());
        let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        let days = (date - EPOCH).get_days();
        u16::try_from(days).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for LocalDate {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<LocalDate> for String {
    fn from(date: LocalDate) -> Self {
        date.to_string()
    }
}

impl LocalDate {
    /// The date, or the first or last one that the warehouse can hold.
    pub fn near(date: jiff::civil::Date) -> Self {
        let days = (date - EPOCH).get_days();
        Self(u16::try_from(days.max(0)).unwrap_or(u16::MAX))
    }

    /// The date as a civil one.
    pub fn civil(self) -> jiff::civil::Date {
        EPOCH.saturating_add(jiff::Span::new().days(i64::from(self.0)))
    }

    /// `201505`: the partition of the hourly tables.
    pub fn month(self) -> String {
        self.to_string().replace('-', "").chars().take(6).collect()
    }
}

impl Take {
    /// The stream it takes from.
    pub fn stream(&self) -> Stream {
        Stream { edge: self.edge.clone(), epoch: self.epoch }
    }

    /// Hits in it.
    pub fn hits(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

impl Skip {
    /// The stream of the batch.
    pub fn stream(&self) -> Stream {
        Stream { edge: self.edge.clone(), epoch: self.epoch }
    }

    /// Hits in it.
    pub fn hits(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

impl Plan {
    /// The group of its rows.
    pub fn group(&self) -> u64 {
        self.rows_plan / PLANS_PER_GROUP
    }

    /// Its INSERTs into one table.
    pub fn steps_of(&self, table: MinuteTable) -> impl Iterator<Item = &InsertStep> {
        self.inserts.iter().filter(move |step| step.table == table.name())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes fields so
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The part of a plan's tokens that changes with what it takes.
pub fn hash_of(takes: &[Take], skips: &[Skip]) -> Result<String, serde_json::Error> {
    let bytes = serde_json::to_vec(&(takes, skips))?;
    let mut text = hex::encode(Sha256::digest(&bytes));
    text.truncate(32);
    Ok(text)
}

#[cfg(test)]
mod tests;
