//! State as bytes: what outlives a crash.
//!
//! Constraints: a *checkpoint* is the whole state at a seal, a *change* what became different between two seals. A
//! checkpoint and all changes after it, in order, give the state of the last seal; each names the block it begins
//! at, so a missing or doubled one is found. Nothing that waits for the next seal is in them.
//!
//! Bytes (format 1, little endian): `"MP"`, version `u8` = 1, kind `u8` (0 checkpoint, 1 change), length of the body
//! before compression `u32`, crc32c `u32` of the eight bytes before it and of the compressed body, then the body:
//! zstd of the protobuf message `wire::State`. Fields are only ever added; a number is never used again.
//!
//! Recovery: bytes that are damaged, of another edge or epoch, or out of order are an error, never an empty state.

mod wire;

use hit::{EdgeId, Epoch};

use crate::deduplicate::IdChange;
use crate::fold::PageChange;
use crate::forget::AppliedJob;
use crate::recognise::VisitorChange;
use crate::sessionize::SessionChange;
use crate::totals::Totals;

const MAGIC: [u8; 2] = *b"MP";
const VERSION: u8 = 1;
/// Bytes before the checksum.
const CHECKED: usize = 8;
/// Bytes before the body.
const HEADER: usize = CHECKED + 4;
/// State is written every few seconds: speed counts more than size.
const ZSTD_LEVEL: i32 = 1;

/// Why stored state cannot be used, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not state, or of a later version.
    #[error("stored state begins with {0:02x?}, this build reads \"MP\" version 1")]
    Format(Vec<u8>),
    /// Cut or changed bytes.
    #[error("stored state is damaged: {0}")]
    Damaged(String),
    /// A change where a checkpoint belongs, or the other way round.
    #[error("stored state is a {found}, a {expected} was expected")]
    Kind {
        /// What belongs there.
        expected: &'static str,
        /// What the bytes are.
        found: &'static str,
    },
    /// State of another edge or data directory.
    #[error(
        "stored state belongs to edge {found}, this is {expected}; give each edge a data directory of its own"
    )]
    OtherEdge {
        /// Edge and epoch of this process.
        expected: String,
        /// Edge and epoch in the bytes.
        found: String,
    },
    /// A change does not follow the state before it.
    #[error(
        "a change of state begins at block {found}, expected block {expected}: one is missing or comes twice"
    )]
    Gap {
        /// Block due after the state so far.
        expected: u64,
        /// Block at which the change begins.
        found: u64,
    },
    /// A checkpoint was asked for between two seals.
    #[error("a checkpoint must follow a seal: {0} blocks were processed since")]
    NotSealed(u64),
    /// Larger than the format's length field.
    #[error(
        "state of {0} bytes is more than 4 GiB; lower id_window_bytes, max_open_sessions or max_known_visitors"
    )]
    TooLarge(usize),
    /// zstd failed.
    #[error("state cannot be compressed: {0}")]
    Compression(std::io::Error),
}

/// Whole state or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole state.
    Checkpoint,
    /// What became different since the last seal.
    Change,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Checkpoint => 0,
            Self::Change => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Change => "change",
        }
    }
}

/// Where in the WAL a state stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Block that is due next.
    pub next_block: u64,
    /// Position that is due next.
    pub next_position: u64,
    /// Received time of the last block, unix milliseconds.
    pub received_at_ms: u64,
}

/// What is in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// First block after the seal before; 0 in a checkpoint.
    pub from_block: u64,
    /// Where the state stands.
    pub cursor: Cursor,
    /// Counts since the epoch began.
    pub totals: Totals,
    /// Ids of hits.
    pub ids: IdChange,
    /// Pages counted per hour.
    pub pages: PageChange,
    /// Visitors that are known.
    pub visitors: VisitorChange,
    /// Sessions.
    pub sessions: SessionChange,
    /// Erasures that were applied.
    pub jobs: Vec<AppliedJob>,
}

/// The bytes of a snapshot.
///
/// # Errors
/// When it is larger than 4 GiB or zstd fails.
pub fn encode(kind: Kind, edge: &EdgeId, epoch: Epoch, snapshot: &Snapshot) -> Result<Vec<u8>, StateError> {
    let body = wire::encode(edge, epoch, snapshot);
    let length = u32::try_from(body.len()).map_err(|_| StateError::TooLarge(body.len()))?;
    let compressed = zstd::bulk::compress(&body, ZSTD_LEVEL).map_err(StateError::Compression)?;
    let mut bytes = Vec::with_capacity(HEADER + compressed.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, kind.byte()]);
    bytes.extend_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &compressed);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&compressed);
    Ok(bytes)
}

/// Reads a snapshot of this kind, edge and epoch.
///
/// # Errors
/// When the bytes are anything else.
pub fn decode(kind: Kind, edge: &EdgeId, epoch: Epoch, bytes: &[u8]) -> Result<Snapshot, StateError> {
    let body = body(kind, bytes)?;
    let (state, open) = wire::decode(&body)?;
    drop(body);
    if state.edge != edge.as_str() || state.epoch != epoch.0 {
        let found = Epoch::from_bytes(&state.epoch).map_or("?".to_owned(), |epoch| epoch.to_string());
        return Err(StateError::OtherEdge {
            expected: format!("{edge} (epoch {epoch})"),
            found: format!("{} (epoch {found})", state.edge),
        });
    }
    state.into_snapshot(open)
}

fn body(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, StateError> {
    let cut = || StateError::Damaged(format!("{} bytes are less than a header", bytes.len()));
    let (checked, rest) = bytes.split_first_chunk::<CHECKED>().ok_or_else(cut)?;
    let (crc, compressed) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let [m, p, version, found_kind, length @ ..] = *checked;
    if [m, p] != MAGIC || version != VERSION {
        return Err(StateError::Format(vec![m, p, version]));
    }
    let expected = u32::from_le_bytes(*crc);
    let found = crc32c::crc32c_append(crc32c::crc32c(checked), compressed);
    if found != expected {
        return Err(StateError::Damaged(format!("checksum {found:08x}, expected {expected:08x}")));
    }
    if found_kind != kind.byte() {
        let found = if kind == Kind::Change { Kind::Checkpoint } else { Kind::Change };
        return Err(StateError::Kind { expected: kind.name(), found: found.name() });
    }
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|error| damaged(&error))?;
    let body = zstd::bulk::decompress(compressed, length).map_err(|error| damaged(&error))?;
    if body.len() != length {
        return Err(StateError::Damaged(format!("{} bytes, expected {length}", body.len())));
    }
    Ok(body)
}

fn damaged(error: &dyn std::error::Error) -> StateError {
    StateError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests;
