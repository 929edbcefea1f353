//! The JSON objects of an erasure.
//!
//! Constraints: a request is created once and never changed; progress is overwritten as a whole by the loader that runs the
//! shard; a reader that meets a format or field it does not know stops. Invariant: what [`Request::check`] lets pass can stand
//! in a statement as text, and is bounded.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Format that this build writes and reads.
pub const FORMAT: u32 = 1;
/// Most visitors of one request.
pub const MAX_VISITORS: usize = 1_000;
/// Longest property id, bytes.
const MAX_PROPERTY_ID_BYTES: usize = 64;

/// Why a text or a document is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not a job id.
    #[error("job {0:?} is not e_ and 24 hexadecimal digits")]
    Job(String),
    /// Not a visitor id.
    #[error("visitor id {0:?} is not 16 hexadecimal digits")]
    Visitor(String),
    /// Not a property id.
    #[error("property_id {0:?} is not 1 to 64 of the characters A-Z, a-z, 0-9, _ and -")]
    Property(String),
    /// Nobody, or too many at once.
    #[error("visitor_ids has {0} entries: give 1 to {MAX_VISITORS}, and make several requests of more")]
    Visitors(usize),
    /// Nothing.
    #[error("{0} is empty: name what is to go")]
    Empty(&'static str),
    /// Made by another build.
    #[error("the request says format {0}, and this build reads {FORMAT}: upgrade it")]
    Format(u32),
}

/// `e_`, 16 hexadecimal digits of unix milliseconds, 8 random ones: ids sort by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// The id of a job that is requested now. `random`: from the operating system.
    pub fn new(now_ms: u64, random: u32) -> Self {
        Self(format!("e_{now_ms:016x}{random:08x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let digits = text.strip_prefix("e_").unwrap_or_default();
        let good = digits.len() == 24 && is_lower_hex(digits);
        if good { Ok(Self(text.to_owned())) } else { Err(DocumentError::Job(text.to_owned())) }
    }
}

impl TryFrom<String> for JobId {
    type Error = DocumentError;

    fn try_from(text: String) -> Result<Self, DocumentError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(job: JobId) -> Self {
        job.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is to be forgotten: the 64 bits that rows carry, as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VisitorId(pub u64);

impl FromStr for VisitorId {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let wrong = || DocumentError::Visitor(text.to_owned());
        if text.len() != 16 || !is_lower_hex(text) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for VisitorId {
    type Error = DocumentError;

    fn try_from(text: String) -> Result<Self, DocumentError> {
        text.parse()
    }
}

impl From<VisitorId> for String {
    fn from(id: VisitorId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a job removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Everything of a property, and whatever of it still comes in.
    Property {
        /// The property.
        property_id: String,
    },
    /// The ids of visitors of a property.
    Visitors {
        /// The property.
        property_id: String,
        /// Its visitors.
        visitor_ids: Vec<VisitorId>,
    },
    /// Everything past its retention.
    Retention {
        /// By date.
        before: Vec<Before>,
    },
}

/// Properties that keep nothing of before a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Rows with an earlier local date go.
    pub date: Date,
    /// Of these properties.
    pub property_ids: Vec<String>,
}

/// A job as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`FORMAT`].
    pub format: u32,
    /// The job.
    pub job: JobId,
    /// Unix milliseconds: what was received later need not go, unless its property is deleted.
    pub requested_at_ms: u64,
    /// What goes.
    pub what: What,
}

impl Request {
    /// Whether it can be carried out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), DocumentError> {
        if self.format != FORMAT {
            return Err(DocumentError::Format(self.format));
        }
        match &self.what {
            What::Property { property_id } => check_property(property_id),
            What::Visitors { property_id, visitor_ids } => {
                if visitor_ids.is_empty() || visitor_ids.len() > MAX_VISITORS {
                    return Err(DocumentError::Visitors(visitor_ids.len()));
                }
                check_property(property_id)
            }
            What::Retention { before } => {
                if before.is_empty() {
                    return Err(DocumentError::Empty("before"));
                }
                before.iter().flat_map(|before| &before.property_ids).try_for_each(|id| check_property(id))
            }
        }
    }
}

fn check_property(id: &str) -> Result<(), DocumentError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=MAX_PROPERTY_ID_BYTES).contains(&id.len()) && id.bytes().all(plain) {
        return Ok(());
    }
    Err(DocumentError::Property(id.to_owned()))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For what `waits_for` names.
    Waiting,
    /// Rows are being removed.
    Running,
    /// All that could be removed is gone; `holds` names the rest.
    Done,
}

/// How far one shard has come with a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// [`FORMAT`].
    pub format: u32,
    /// The job.
    pub job: JobId,
    /// Range of slots it is about.
    pub shard: u16,
    /// Where it stands.
    pub state: State,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
    /// Plans that carried it out, or are about to.
    pub plans: Vec<u64>,
    /// What they did.
    pub steps: Vec<Step>,
    /// What is awaited, as sentences.
    pub waits_for: Vec<String>,
    /// Where some of it is still held.
    pub holds: Vec<Hold>,
}

/// Removal from one table or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The table.
    pub store: String,
    /// What is done to it.
    pub what: String,
    /// Rows that were to go, or to be rewritten, as first counted.
    pub rows_before: u64,
    /// Rows of these that were left, as counted afterwards.
    pub rows_after: Option<u64>,
    /// Whether it is over.
    pub done: bool,
}

/// A place that still holds some of what is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Table or folder.
    pub store: String,
    /// Until when; nobody knows if `None`.
    pub until: Option<Timestamp>,
    /// First and last local date of it, if it is known by dates.
    pub dates: Option<(Date, Date)>,
    /// What is held, and what ends it.
    pub what: String,
}

#[cfg(test)]
mod tests;
