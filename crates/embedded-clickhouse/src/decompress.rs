//! ClickHouse's compressed blocks, as `decompress=1` bodies and `compress=1` answers carry them.
//!
//! Bytes of a block, little endian: CityHash128 (version 1.0.2) of the rest (16, the two halves swapped), method `u8`, length of
//! method to end `u32`, uncompressed length `u32`, data. Methods: 0x82 LZ4, 0x02 none. A body is a sequence of whole blocks; anything
//! else (a cut block, a wrong checksum, too much data) is refused before a byte of it reaches the engine.

use lz4_flex::block;

use crate::engine::EngineError;

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_LZ4: u8 = 0x82;
const METHOD_NONE: u8 = 0x02;

/// Uncompressed bytes per block of an answer; ClickHouse's own default.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Decodes a whole body of blocks, up to `max_bytes` of data.
pub(crate) fn decode(mut body: &[u8], max_bytes: u64) -> Result<Vec<u8>, EngineError> {
    let mut data = Vec::new();
    while !body.is_empty() {
        let (block, rest) = next_block(body)?;
        let length = u64::from(block.data_length);
        if u64::try_from(data.len()).unwrap_or(u64::MAX).saturating_add(length) > max_bytes {
            return Err(EngineError::too_large(&format!(
                "The decompressed body is longer than max_body_bytes = {max_bytes}: send less per request, or raise it"
            )));
        }
        append(&block, &mut data)?;
        body = rest;
    }
    Ok(data)
}

/// Encodes an answer as LZ4 blocks.
pub(crate) fn encode(data: &[u8]) -> Result<Vec<u8>, EngineError> {
    let mut body = Vec::with_capacity(data.len() / 2 + CHECKSUM_BYTES + HEADER_BYTES);
    for chunk in data.chunks(BLOCK_BYTES) {
        let compressed = block::compress(chunk);
        let too_long = |_| cannot("a block is longer than 4 GiB");
        let mut header = [0_u8; HEADER_BYTES];
        header[0] = METHOD_LZ4;
        let block_length = u32::try_from(HEADER_BYTES + compressed.len()).map_err(too_long)?;
        header[1..5].copy_from_slice(&block_length.to_le_bytes());
        header[5..9].copy_from_slice(&u32::try_from(chunk.len()).map_err(too_long)?.to_le_bytes());
        let checked = [header.as_slice(), compressed.as_slice()].concat();
        body.extend_from_slice(&checksum(&checked));
        body.extend_from_slice(&checked);
    }
    Ok(body)
}

struct Block<'a> {
    method: u8,
    data_length: u32,
    payload: &'a [u8],
}

fn next_block(body: &[u8]) -> Result<(Block<'_>, &[u8]), EngineError> {
    let truncated =
        || EngineError::own(33, "CANNOT_READ_ALL_DATA", "The compressed body ends within a block");
    let (expected, rest) = body.split_at_checked(CHECKSUM_BYTES).ok_or_else(truncated)?;
    let header: &[u8; HEADER_BYTES] = rest.first_chunk().ok_or_else(truncated)?;
    let [method, l0, l1, l2, l3, d0, d1, d2, d3] = *header;
    let block_length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| truncated())?;
    if block_length < HEADER_BYTES {
        return Err(cannot("the length of a block is less than its header"));
    }
    let (checked, rest) = rest.split_at_checked(block_length).ok_or_else(truncated)?;
    if checksum(checked) != expected {
        return Err(EngineError::own(
            40,
            "CHECKSUM_DOESNT_MATCH",
            "A block of the compressed body has a wrong checksum",
        ));
    }
    let payload = checked.get(HEADER_BYTES..).unwrap_or_default();
    Ok((Block { method, data_length: u32::from_le_bytes([d0, d1, d2, d3]), payload }, rest))
}

fn append(block: &Block<'_>, data: &mut Vec<u8>) -> Result<(), EngineError> {
    let length = usize::try_from(block.data_length).map_err(|_| cannot("a block is too long"))?;
    match block.method {
        METHOD_NONE if block.payload.len() == length => data.extend_from_slice(block.payload),
        METHOD_LZ4 => {
            let start = data.len();
            data.resize(start + length, 0);
            let written = block::decompress_into(block.payload, data.get_mut(start..).unwrap_or_default())
                .map_err(|error| cannot(&error.to_string()))?;
            if written != length {
                return Err(cannot("a block is shorter than it states"));
            }
        }
        METHOD_NONE => return Err(cannot("a block is not as long as it states")),
        other => {
            return Err(EngineError::own(
                89,
                "UNKNOWN_COMPRESSION_METHOD",
                &format!("Compression method {other:#04x} is not supported: use LZ4 or none"),
            ));
        }
    }
    Ok(())
}

fn checksum(checked: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_rs::cityhash_102_128(checked).rotate_right(64).to_le_bytes()
}

fn cannot(why: &str) -> EngineError {
    EngineError::own(271, "CANNOT_DECOMPRESS", &format!("Cannot decompress the body: {why}"))
}

#[cfg(test)]
mod tests;
