//! Frames of the batch protocol as bytes.
//!
//! Constraints: whatever comes from the network is refused before memory is given to it; a frame's meaning does not
//! depend on those before it, except that the payload follows a batch frame.
//! Bytes (version 1): length of the body `u32` little endian, kind `u8` (1 hello, 2 hello reply, 3 refused, 4 batch,
//! 5 ack), body: the protobuf message of that kind in `meridian.batch.v1`. Behind a batch frame (body: `BatchHeader`)
//! come `payload_bytes` bytes of payload, outside any frame.
//! Recovery: none; after a broken frame the stream is given up, and what was not acknowledged is sent again.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use proto::batch::{Ack, BatchHeader, Hello, HelloReply, Refused};

/// Bytes before a frame's body.
pub const HEAD_BYTES: usize = 5;

/// The longest body: a header holds an edge id of 63 bytes and a few numbers, a refusal one sentence.
pub const MAX_BODY_BYTES: usize = 4096;

const HELLO: u8 = 1;
const HELLO_REPLY: u8 = 2;
const REFUSED: u8 = 3;
const BATCH: u8 = 4;
const ACK: u8 = 5;

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Edge to hub, first on a stream.
    Hello(Hello),
    /// Hub to edge, the answer to a hello it accepts.
    HelloReply(HelloReply),
    /// Hub to edge, last on a stream.
    Refused(Refused),
    /// Edge to hub; the payload follows.
    Batch(BatchHeader),
    /// Hub to edge.
    Ack(Ack),
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    kind: u8,
    /// Bytes of the body that follows, at most [`MAX_BODY_BYTES`].
    pub body_bytes: usize,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body would be too long.
    #[error("a frame of {0} bytes, more than the {MAX_BODY_BYTES} allowed")]
    TooLong(u32),
    /// A kind of a later version, or no frame at all.
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    /// The body is not the message of its kind.
    #[error("a frame whose body does not decode: {0}")]
    Body(#[from] prost::DecodeError),
}

impl Frame {
    /// The frame's bytes. A text that makes the body too long is the caller's mistake; see [`MAX_BODY_BYTES`].
    pub fn encode(&self) -> Bytes {
        let (kind, body) = match self {
            Self::Hello(message) => (HELLO, message.encode_to_vec()),
            Self::HelloReply(message) => (HELLO_REPLY, message.encode_to_vec()),
            Self::Refused(message) => (REFUSED, message.encode_to_vec()),
            Self::Batch(message) => (BATCH, message.encode_to_vec()),
            Self::Ack(message) => (ACK, message.encode_to_vec()),
        };
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + body.len());
        bytes.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
        bytes.put_u8(kind);
        bytes.put_slice(&body);
        bytes.freeze()
    }
}

/// Reads the fixed part.
///
/// # Errors
/// When the kind is unknown or the body too long.
pub fn decode_head(bytes: [u8; HEAD_BYTES]) -> Result<Head, FrameError> {
    let [a, b, c, d, kind] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]);
    let body_bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if body_bytes > MAX_BODY_BYTES {
        return Err(FrameError::TooLong(length));
    }
    if !(HELLO..=ACK).contains(&kind) {
        return Err(FrameError::Kind(kind));
    }
    Ok(Head { kind, body_bytes })
}

/// Reads the body that belongs to `head`.
///
/// # Errors
/// When it is not the message of that kind.
pub fn decode_body(head: Head, body: &[u8]) -> Result<Frame, FrameError> {
    Ok(match head.kind {
        HELLO => Frame::Hello(Hello::decode(body)?),
        HELLO_REPLY => Frame::HelloReply(HelloReply::decode(body)?),
        REFUSED => Frame::Refused(Refused::decode(body)?),
        BATCH => Frame::Batch(BatchHeader::decode(body)?),
        ACK => Frame::Ack(Ack::decode(body)?),
        other => return Err(FrameError::Kind(other)),
    })
}

#[cfg(test)]
mod tests;
