//! Values of the outbox tables: what is needed to send a batch, and to account for it.
//!
//! Bytes (format 1, little endian): `u32` length of the header, header (`meridian.batch.v1.BatchHeader`), two `u64`s,
//! payload. Rollup: hits counted, received time of the oldest hit; then the payload. Raw: first and last block; the
//! payload is read from the WAL when it is sent, and the checksum in the header proves that it is still the same.

use batch::{BatchHeader, SealedBatch};
use bytes::{Buf, BufMut, Bytes};
use prost::Message;

/// A sealed rollup batch and what the accounts need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RollupEntry {
    /// The batch.
    pub(crate) batch: SealedBatch,
    /// Accounts.
    pub(crate) note: Note,
}

/// What the accounts need of a rollup batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Hits in its rows: those of its range that were not dropped or repeats.
    pub(crate) counted: u64,
    /// `received_at_ms` of its oldest hit; 0: no hit.
    pub(crate) oldest_ms: u64,
}

/// A raw batch: header, and the blocks its payload is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawEntry {
    /// Identity, range, length and checksum.
    pub(crate) header: BatchHeader,
    /// First block.
    pub(crate) first_block: u64,
    /// Last block, included.
    pub(crate) last_block: u64,
}

/// Why a value of the outbox does not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// Ends within a field.
    #[error("ends within its header")]
    Cut,
    /// The header is not protobuf.
    #[error("has a header that does not decode: {0}")]
    Header(#[from] prost::DecodeError),
    /// Header or payload is damaged.
    #[error(transparent)]
    Batch(#[from] batch::BatchError),
}

impl RollupEntry {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let numbers = [self.note.counted, self.note.oldest_ms];
        encode(self.batch.header(), numbers, self.batch.payload())
    }

    /// From bytes; length and checksum of the payload are checked.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, EntryError> {
        let (header, [counted, oldest_ms], payload) = decode(bytes)?;
        Ok(Self { batch: SealedBatch::open(header, payload)?, note: Note { counted, oldest_ms } })
    }
}

impl RawEntry {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(&self.header, [self.first_block, self.last_block], &[])
    }

    /// From bytes.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, EntryError> {
        let (header, [first_block, last_block], _) = decode(bytes)?;
        Ok(Self { header, first_block, last_block })
    }
}

/// The accounts of a rollup entry and its length, without a look at the payload.
pub(crate) fn note_of(bytes: &[u8]) -> Result<Note, EntryError> {
    let mut rest = bytes;
    let length = usize::try_from(rest.try_get_u32_le().map_err(|_| EntryError::Cut)?).unwrap_or(usize::MAX);
    if length > rest.len() {
        return Err(EntryError::Cut);
    }
    rest.advance(length);
    let mut number = || rest.try_get_u64_le().map_err(|_| EntryError::Cut);
    Ok(Note { counted: number()?, oldest_ms: number()? })
}

fn encode(header: &BatchHeader, numbers: [u64; 2], payload: &[u8]) -> Vec<u8> {
    let header = proto::batch::BatchHeader::from(header).encode_to_vec();
    let mut bytes = Vec::with_capacity(20 + header.len() + payload.len());
    // A header is a few dozen bytes.
    bytes.put_u32_le(u32::try_from(header.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&header);
    bytes.put_u64_le(numbers[0]);
    bytes.put_u64_le(numbers[1]);
    bytes.put_slice(payload);
    bytes
}

fn decode(mut bytes: Bytes) -> Result<(BatchHeader, [u64; 2], Bytes), EntryError> {
    let length = usize::try_from(bytes.try_get_u32_le().map_err(|_| EntryError::Cut)?).unwrap_or(usize::MAX);
    if length > bytes.len() {
        return Err(EntryError::Cut);
    }
    let header = proto::batch::BatchHeader::decode(bytes.split_to(length))?;
    let first = bytes.try_get_u64_le().map_err(|_| EntryError::Cut)?;
    let second = bytes.try_get_u64_le().map_err(|_| EntryError::Cut)?;
    Ok((BatchHeader::try_from(header)?, [first, second], bytes))
}
