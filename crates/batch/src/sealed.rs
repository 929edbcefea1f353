//! A sealed batch: header and payload. Once sealed its bytes never change, whatever is retried.

use bytes::Bytes;
use hit::{EdgeId, Epoch};
use proto::batch::{BatchHeader as HeaderMessage, Lane};

/// Format of payloads that this build writes and reads.
pub const FORMAT: u32 = 1;

/// Bytes a payload may have; larger ones are refused by edge, hub and loader.
pub const MAX_PAYLOAD_BYTES: u64 = 64 * 1024 * 1024;

/// Identity of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    /// Who made it.
    pub edge: EdgeId,
    /// In which data directory.
    pub epoch: Epoch,
    /// Rollup or raw.
    pub lane: Lane,
    /// From 1, without gaps, per (edge, epoch, lane).
    pub seq: u64,
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}-{}", self.edge, self.epoch, lane_name(self.lane), self.seq)
    }
}

/// `rollup` or `raw`, as in object keys and metrics.
pub fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Rollup => "rollup",
        Lane::Raw => "raw",
        Lane::Unspecified => "unspecified",
    }
}

/// Identity, range and checksum of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// Identity.
    pub id: BatchId,
    /// First WAL position.
    pub from: u64,
    /// First WAL position after the batch.
    pub to: u64,
    /// Every hit received before this time (unix ms) is in this batch or an earlier one of its lane.
    pub complete_until_ms: u64,
    /// Bytes of the payload.
    pub payload_bytes: u64,
    /// CRC-32C of the payload.
    pub payload_crc32c: u32,
}

impl BatchHeader {
    /// Hits the batch was made from.
    pub fn hits(&self) -> u64 {
        self.to - self.from
    }
}

/// Why bytes are not a batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// A later or broken format.
    #[error("batch has format {0}, this build reads {FORMAT}")]
    Format(u32),
    /// A field of the header is not possible.
    #[error("batch header has an impossible {field}: {value}")]
    Header {
        /// Name of the field.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// Damaged bytes.
    #[error("batch {id} is damaged: {found}, expected {expected}")]
    Damaged {
        /// Text form of the id.
        id: String,
        /// Length or checksum by the header.
        expected: String,
        /// Length or checksum of the bytes.
        found: String,
    },
}

impl BatchError {
    fn header(field: &'static str, value: impl std::fmt::Display) -> Self {
        Self::Header { field, value: value.to_string() }
    }
}

impl TryFrom<HeaderMessage> for BatchHeader {
    type Error = BatchError;

    fn try_from(message: HeaderMessage) -> Result<Self, BatchError> {
        if message.format != FORMAT {
            return Err(BatchError::Format(message.format));
        }
        let lane = message.lane();
        if lane == Lane::Unspecified {
            return Err(BatchError::header("lane", message.lane));
        }
        if message.seq == 0 {
            return Err(BatchError::header("seq", message.seq));
        }
        if message.to < message.from {
            return Err(BatchError::header("range", format!("[{}, {})", message.from, message.to)));
        }
        if message.payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(BatchError::header("payload_bytes", message.payload_bytes));
        }
        let epoch = Epoch::from_bytes(&message.epoch)
            .ok_or_else(|| BatchError::header("epoch", format!("{} bytes", message.epoch.len())))?;
        let edge = message.edge.parse().map_err(|_| BatchError::header("edge", &message.edge))?;
        Ok(Self {
            id: BatchId { edge, epoch, lane, seq: message.seq },
            from: message.from,
            to: message.to,
            complete_until_ms: message.complete_until_ms,
            payload_bytes: message.payload_bytes,
            payload_crc32c: message.payload_crc32c,
        })
    }
}

impl From<&BatchHeader> for HeaderMessage {
    fn from(header: &BatchHeader) -> Self {
        Self {
            format: FORMAT,
            edge: header.id.edge.to_string(),
            epoch: header.id.epoch.0.to_vec(),
            lane: header.id.lane.into(),
            seq: header.id.seq,
            from: header.from,
            to: header.to,
            complete_until_ms: header.complete_until_ms,
            payload_bytes: header.payload_bytes,
            payload_crc32c: header.payload_crc32c,
        }
    }
}

/// A batch whose payload was checked against its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    header: BatchHeader,
    payload: Bytes,
}

impl SealedBatch {
    /// Seals a payload under an id.
    ///
    /// # Errors
    /// When the payload is larger than [`MAX_PAYLOAD_BYTES`].
    pub fn seal(
        id: BatchId,
        range: std::ops::Range<u64>,
        complete_until_ms: u64,
        payload: Bytes,
    ) -> Result<Self, BatchError> {
        let payload_bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(BatchError::header("payload_bytes", payload_bytes));
        }
        let payload_crc32c = crc32c::crc32c(&payload);
        let header = BatchHeader {
            id,
            from: range.start,
            to: range.end,
            complete_until_ms,
            payload_bytes,
            payload_crc32c,
        };
        Ok(Self { header, payload })
    }

    /// Puts together what was read, and checks length and checksum.
    ///
    /// # Errors
    /// When the payload is not the one that was sealed.
    pub fn open(header: BatchHeader, payload: Bytes) -> Result<Self, BatchError> {
        let damaged = |expected: String, found: String| BatchError::Damaged {
            id: header.id.to_string(),
            expected,
            found,
        };
        if u64::try_from(payload.len()) != Ok(header.payload_bytes) {
            return Err(damaged(
                format!("{} bytes", header.payload_bytes),
                format!("{} bytes", payload.len()),
            ));
        }
        let found = crc32c::crc32c(&payload);
        if found != header.payload_crc32c {
            return Err(damaged(format!("{:08x}", header.payload_crc32c), format!("{found:08x}")));
        }
        Ok(Self { header, payload })
    }

    /// Identity and range.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}
