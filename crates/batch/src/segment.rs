//! The segment: one object of the store, holding batches of one lane as they came.
//!
//! Constraints: written by one PUT, never changed; a segment cut anywhere must not read.
//! Bytes (format 1, little endian): `"MSEG"`, version `u32` = 1; per batch: length of the header `u32`, the header
//! (`meridian.batch.v1.BatchHeader`), the payload; at the end the number of batches `u32` and the crc32c `u32` of
//! everything before it.
//! Recovery: none needed; a batch whose segment is damaged is still in the outbox of an edge that was not answered, and
//! one that was answered was durable as a whole.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use proto::batch::{BatchHeader as HeaderMessage, Lane};

use crate::sealed::{BatchError, BatchHeader, SealedBatch, lane_name};

const MAGIC: &[u8; 4] = b"MSEG";
const VERSION: u32 = 1;
/// Number of batches and checksum.
const TRAILER: usize = 8;

/// Why an object is not a segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Too short, or the checksum does not match.
    #[error("segment is cut or damaged ({0} bytes)")]
    Damaged(usize),
    /// A later format.
    #[error("segment has format {0}, this build reads {VERSION}")]
    Format(u32),
    /// A header that does not decode, with the right checksum: written by a broken hub.
    #[error("segment holds a header that does not decode: {0}")]
    Header(#[from] prost::DecodeError),
    /// A batch whose header or payload is wrong.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The object's bytes.
pub fn encode(batches: &[SealedBatch]) -> Bytes {
    let payloads: usize = batches.iter().map(|batch| batch.payload().len() + 256).sum();
    let mut bytes = BytesMut::with_capacity(payloads + 64);
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(VERSION);
    for batch in batches {
        let header = HeaderMessage::from(batch.header()).encode_to_vec();
        bytes.put_u32_le(u32::try_from(header.len()).unwrap_or(u32::MAX));
        bytes.put_slice(&header);
        bytes.put_slice(batch.payload());
    }
    bytes.put_u32_le(u32::try_from(batches.len()).unwrap_or(u32::MAX));
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    bytes.freeze()
}

/// The batches of an object, each checked; payloads share the object's memory.
///
/// # Errors
/// When the object is not a whole segment of format 1, or a batch in it is not what was sealed.
pub fn decode(object: &Bytes) -> Result<Vec<SealedBatch>, SegmentError> {
    let damaged = || SegmentError::Damaged(object.len());
    let end = object.len().checked_sub(TRAILER).filter(|end| *end >= 8).ok_or_else(damaged)?;
    let mut trailer = object.slice(end..);
    let (count, crc) = (trailer.get_u32_le(), trailer.get_u32_le());
    if object[..4] != *MAGIC || crc32c::crc32c(&object[..end + 4]) != crc {
        return Err(damaged());
    }
    let mut rest = object.slice(4..end);
    let version = rest.get_u32_le();
    if version != VERSION {
        return Err(SegmentError::Format(version));
    }
    let mut batches = Vec::new();
    while rest.has_remaining() {
        let header = take(&mut rest, |rest| rest.try_get_u32_le().ok().map(u64::from)).ok_or_else(damaged)?;
        let header = BatchHeader::try_from(HeaderMessage::decode(header)?)?;
        let length = header.payload_bytes;
        let payload = take(&mut rest, |_| Some(length)).ok_or_else(damaged)?;
        batches.push(SealedBatch::open(header, payload)?);
    }
    if u32::try_from(batches.len()) != Ok(count) {
        return Err(damaged());
    }
    Ok(batches)
}

/// Takes as many bytes as `length` says off the front, if they are there.
fn take(rest: &mut Bytes, length: impl FnOnce(&mut Bytes) -> Option<u64>) -> Option<Bytes> {
    let length = usize::try_from(length(rest)?).ok()?;
    (length <= rest.len()).then(|| rest.split_to(length))
}

/// The folder of a lane's segments in the store.
pub fn prefix(lane: Lane) -> String {
    format!("segments/{}", lane_name(lane))
}

/// The key of a new segment: sorts by time of creation; `random` tells apart two of the same hub and millisecond.
pub fn key(lane: Lane, created_at_ms: u64, hub: &str, random: u32) -> String {
    format!("{}/{created_at_ms:013}-{hub}-{random:08x}.seg", prefix(lane))
}

/// When the segment of this key was created, unix milliseconds; `None` if the key is not a segment's.
pub fn created_at_ms(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?.strip_suffix(".seg")?;
    name.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
