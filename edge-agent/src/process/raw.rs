//! Raw batches: which WAL blocks go into which, without keeping their bytes.
//!
//! In: blocks as they are processed. Out: headers with length and checksum of payloads that `ship` reads from the WAL
//! again when it sends them. Blocks are grouped by size only, so that a batch is a range of whole blocks.

use batch::{BatchHeader, BatchId};
use hit::BlockHeader;

use crate::disk::entry::RawEntry;

/// The batches of the range since the last seal.
#[derive(Debug)]
pub(crate) struct RawBatches {
    limit_bytes: u64,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    first: BlockHeader,
    last: BlockHeader,
    bytes: u64,
    crc32c: u32,
}

impl RawBatches {
    /// Batches of about `limit_bytes`.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, chunks: Vec::new() }
    }

    /// Takes the next block.
    pub(crate) fn push(&mut self, header: &BlockHeader, block: &[u8]) {
        // The same framing as `batch::raw::push_block`, so that checksum and length are those of the payload.
        let prefix = u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes();
        let bytes = 4 + u64::try_from(block.len()).unwrap_or(u64::MAX);
        match self.chunks.last_mut() {
            Some(chunk) if chunk.bytes + bytes <= self.limit_bytes => {
                chunk.crc32c = crc32c::crc32c_append(crc32c::crc32c_append(chunk.crc32c, &prefix), block);
                chunk.bytes += bytes;
                chunk.last = *header;
            }
            _ => {
                let crc32c = crc32c::crc32c_append(crc32c::crc32c(&prefix), block);
                self.chunks.push(Chunk { first: *header, last: *header, bytes, crc32c });
            }
        }
    }

    /// The batches of all blocks since the last seal; `id` makes the id of the n-th, from 0.
    pub(crate) fn seal(&mut self, complete_until_ms: u64, id: impl Fn(u64) -> BatchId) -> Vec<RawEntry> {
        let chunks = std::mem::take(&mut self.chunks);
        let count = chunks.len();
        let entry = |(index, chunk): (usize, Chunk)| RawEntry {
            header: BatchHeader {
                id: id(u64::try_from(index).unwrap_or(u64::MAX)),
                from: chunk.first.from,
                to: chunk.last.to(),
                // A batch that another one follows is complete up to its own last block only.
                complete_until_ms: if index + 1 == count {
                    complete_until_ms
                } else {
                    chunk.last.received_at_ms
                },
                payload_bytes: chunk.bytes,
                payload_crc32c: chunk.crc32c,
            },
            first_block: chunk.first.block,
            last_block: chunk.last.block,
        };
        chunks.into_iter().enumerate().map(entry).collect()
    }
}

#[cfg(test)]
mod tests;
