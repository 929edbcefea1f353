//! The payload of a raw batch: WAL blocks as they are, each with its length before it (`u32`, little endian).

use bytes::{Buf, Bytes};
use hit::block::{self, BlockError};
use hit::{Block, BlockHeader};

/// Why a raw payload does not read.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// Ends within a block.
    #[error("raw payload ends within a block: {0} bytes are missing")]
    Cut(usize),
    /// A block is broken.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Blocks do not follow each other.
    #[error("block {found} follows block {before} in a raw payload")]
    Gap {
        /// Number of the block before.
        before: u64,
        /// Number of the block found.
        found: u64,
    },
}

/// Appends a block to a payload.
pub fn push_block(payload: &mut Vec<u8>, block: &[u8]) {
    // A block is at most 64 MiB, far below 4 GiB.
    payload.extend_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes());
    payload.extend_from_slice(block);
}

/// Reads all blocks; they must follow each other without a gap in number and position.
///
/// # Errors
/// When the payload is cut, a block is broken, or one is missing.
pub fn decode_raw(payload: &Bytes) -> Result<Vec<Block>, RawError> {
    let mut rest = payload.clone();
    let mut blocks = Vec::new();
    let mut before: Option<BlockHeader> = None;
    while rest.has_remaining() {
        let length =
            rest.try_get_u32_le().map_err(|error| RawError::Cut(error.requested - error.available))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > rest.len() {
            return Err(RawError::Cut(length - rest.len()));
        }
        let decoded = block::decode(&rest.split_to(length))?;
        if let Some(before) = before
            && (decoded.header.block != before.block + 1 || decoded.header.from != before.to())
        {
            return Err(RawError::Gap { before: before.block, found: decoded.header.block });
        }
        before = Some(decoded.header);
        blocks.push(decoded);
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests;
