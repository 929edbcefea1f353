//! The WAL block: what one group commit wrote.
//!
//! Bytes (format 1, little endian): `"MB"`, version `u8` = 1, reserved `u8` = 0, block `u64`, from `u64`, hits `u32`,
//! received_at_ms `u64`, length of the body before compression `u32`, crc32c `u32` of all bytes but itself, then the
//! body: zstd of a `meridian.hit.v1.BlockBody`. The same bytes travel on the raw lane.
//! Recovery: a block whose checksum, length or numbers are off is an error, never an empty block.

use std::cell::RefCell;

use prost::Message;
use proto::hit::BlockBody;
use zstd::bulk::{Compressor, Decompressor};

const MAGIC: [u8; 2] = *b"MB";
const VERSION: u8 = 1;
/// Bytes before the checksum.
const CHECKED: usize = 36;
/// Bytes before the body.
const HEADER: usize = CHECKED + 4;

/// Bytes a body may have before compression; more is refused on both sides.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Number, range and time of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Counts blocks of this edge and epoch from 0, without gaps.
    pub block: u64,
    /// Position of the first hit.
    pub from: u64,
    /// Number of hits; 0 in a tick.
    pub hits: u32,
    /// When the commit began, unix milliseconds; never less than in the block before.
    pub received_at_ms: u64,
}

impl BlockHeader {
    /// First position after the block.
    pub fn to(&self) -> u64 {
        self.from + u64::from(self.hits)
    }

    /// Whether a body has as many hits as its header says.
    pub(crate) fn check_count(&self, body: usize) -> Result<(), BlockError> {
        if u32::try_from(body) == Ok(self.hits) {
            return Ok(());
        }
        Err(BlockError::Count { block: self.block, header: self.hits, body })
    }
}

/// A block as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Number, range and time.
    pub header: BlockHeader,
    /// Hits in WAL order, import marks, refusals, and what is to be forgotten.
    pub body: BlockBody,
}

/// Why bytes are not a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Shorter than a header.
    #[error("block of {0} bytes is shorter than its header")]
    Short(usize),
    /// Not a block, or of a later version.
    #[error("block has format {0:?}, this build reads \"MB\" version 1")]
    Format([u8; 3]),
    /// Damaged bytes.
    #[error("block {block} is damaged: checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Number in the header, which may itself be damaged.
        block: u64,
        /// As stored.
        expected: u32,
        /// As computed.
        found: u32,
    },
    /// The body does not decompress, or to another length.
    #[error("block {0} does not decompress: {1}")]
    Compression(u64, String),
    /// The body is not a `BlockBody`.
    #[error("block {0} does not decode: {1}")]
    Body(u64, prost::DecodeError),
    /// Header and body disagree.
    #[error("block {block} says {header} hits and holds {body}")]
    Count {
        /// Number of the block.
        block: u64,
        /// Hits by the header.
        header: u32,
        /// Hits in the body.
        body: usize,
    },
    /// Larger than `MAX_BODY_BYTES`.
    #[error("block {0} has a body of {1} bytes, more than 64 MiB")]
    TooLarge(u64, usize),
}

// Contexts of zstd take longer to make than a small block to compress: one of each for a thread.
thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::default();
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

/// The bytes of a block. `body` is an encoded `BlockBody` (collect encodes each hit once and the committer joins
/// them: field 1, length-delimited), `level` the zstd level.
///
/// # Errors
/// When the body is larger than [`MAX_BODY_BYTES`] or zstd fails.
pub fn encode(header: BlockHeader, body: &[u8], level: i32) -> Result<Vec<u8>, BlockError> {
    let too_large = || BlockError::TooLarge(header.block, body.len());
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let length = u32::try_from(body.len()).map_err(|_| too_large())?;
    let compressed = COMPRESSOR
        .with_borrow_mut(|context| {
            context.set_compression_level(level)?;
            context.compress(body)
        })
        .map_err(|error| BlockError::Compression(header.block, error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + compressed.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, 0]);
    bytes.extend_from_slice(&header.block.to_le_bytes());
    bytes.extend_from_slice(&header.from.to_le_bytes());
    bytes.extend_from_slice(&header.hits.to_le_bytes());
    bytes.extend_from_slice(&header.received_at_ms.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &compressed);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&compressed);
    Ok(bytes)
}

/// Reads the header and checks the checksum, without decompressing.
///
/// # Errors
/// When the bytes are not a block of format 1 or are damaged.
pub fn decode_header(bytes: &[u8]) -> Result<BlockHeader, BlockError> {
    let (checked, rest) = bytes.split_at_checked(CHECKED).ok_or(BlockError::Short(bytes.len()))?;
    let (crc, body) = rest.split_at_checked(4).ok_or(BlockError::Short(bytes.len()))?;
    if checked[..2] != MAGIC || checked[2] != VERSION {
        return Err(BlockError::Format([checked[0], checked[1], checked[2]]));
    }
    let header = BlockHeader {
        block: u64_at(checked, 4),
        from: u64_at(checked, 12),
        hits: u32_at(checked, 20),
        received_at_ms: u64_at(checked, 24),
    };
    let expected = u32_at(crc, 0);
    let found = crc32c::crc32c_append(crc32c::crc32c(checked), body);
    if found != expected {
        return Err(BlockError::Checksum { block: header.block, expected, found });
    }
    Ok(header)
}

/// Checks a block and decompresses its body, which [`crate::BlockView::parse`] reads.
///
/// # Errors
/// When the bytes are not a block of format 1 or are damaged.
pub fn open(bytes: &[u8]) -> Result<(BlockHeader, Vec<u8>), BlockError> {
    let header = decode_header(bytes)?;
    let length = usize::try_from(u32_at(bytes, 32)).unwrap_or(usize::MAX);
    if length > MAX_BODY_BYTES {
        return Err(BlockError::TooLarge(header.block, length));
    }
    let raw = DECOMPRESSOR
        .with_borrow_mut(|context| context.decompress(&bytes[HEADER..], length))
        .map_err(|error| BlockError::Compression(header.block, error.to_string()))?;
    if raw.len() != length {
        return Err(BlockError::Compression(header.block, format!("{} bytes, expected {length}", raw.len())));
    }
    Ok((header, raw))
}

/// Reads a whole block.
///
/// # Errors
/// When the bytes are not a block of format 1, are damaged, or disagree with themselves.
pub fn decode(bytes: &[u8]) -> Result<Block, BlockError> {
    let (header, raw) = open(bytes)?;
    let body = BlockBody::decode(raw.as_slice()).map_err(|error| BlockError::Body(header.block, error))?;
    header.check_count(body.hits.len())?;
    Ok(Block { header, body })
}

/// Appends one import mark to an encoded `BlockBody`: tag of field 2, length, message.
pub fn push_import_mark(body: &mut Vec<u8>, mark: &proto::hit::ImportMark) {
    prost::encoding::message::encode(2, mark, body);
}

/// Appends refusals to an encoded `BlockBody`: tag of field 3, length, message.
pub fn push_refusals(body: &mut Vec<u8>, refusals: &proto::hit::Refusals) {
    prost::encoding::message::encode(3, refusals, body);
}

/// Appends a mark that something is to be forgotten to an encoded `BlockBody`: tag of field 4, length, message.
pub fn push_forget(body: &mut Vec<u8>, forget: &proto::hit::Forget) {
    prost::encoding::message::encode(4, forget, body);
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut le = [0; 8];
    le.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(le)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut le = [0; 4];
    le.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(le)
}

#[cfg(test)]
mod tests;
