//! Frames and payloads off a QUIC stream.
//!
//! In: chunks as they arrive. Out: whole frames, whole payloads. Every method may be dropped while it waits and called
//! again: what has arrived stays in the buffer.

use bytes::{Buf, Bytes, BytesMut};
use quinn::{ReadError, RecvStream};

use crate::frame::{self, Frame, FrameError, HEAD_BYTES};

/// Bytes taken off the stream at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Why nothing can be read any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The stream was reset or the connection lost.
    #[error("the stream is lost: {0}")]
    Read(#[from] ReadError),
    /// The sender finished in the middle of a frame or payload.
    #[error("the stream ends in the middle of a frame")]
    Cut,
    /// Bytes that are no frame.
    #[error("the peer sent {0}")]
    Frame(#[from] FrameError),
}

/// The receiving half of a stream.
pub(crate) struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The next frame; `None` when the sender has finished.
    pub(crate) async fn next_frame(&mut self) -> Result<Option<Frame>, StreamError> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() {
                let head = frame::decode_head(*head)?;
                if let Some(body) = self.buffer.get(HEAD_BYTES..HEAD_BYTES + head.body_bytes) {
                    let frame = frame::decode_body(head, body)?;
                    self.buffer.advance(HEAD_BYTES + head.body_bytes);
                    return Ok(Some(frame));
                }
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(StreamError::Cut) };
            }
        }
    }

    /// Takes up to `missing` bytes of payload, at least one; the caller puts them together.
    pub(crate) async fn payload_chunk(&mut self, missing: usize) -> Result<Bytes, StreamError> {
        if self.buffer.is_empty() {
            let chunk = self.stream.read_chunk(missing.min(CHUNK_BYTES), true).await?;
            return chunk.map(|chunk| chunk.bytes).ok_or(StreamError::Cut);
        }
        let length = missing.min(self.buffer.len());
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Tells the sender that nothing more will be read.
    pub(crate) fn stop(&mut self) {
        // Already finished or reset: then there is nothing to tell.
        let _closed = self.stream.stop(quinn::VarInt::from_u32(0));
    }

    /// Reads what has arrived into the buffer; false at the end of the stream.
    async fn fill(&mut self) -> Result<bool, StreamError> {
        let chunk = self.stream.read_chunk(CHUNK_BYTES, true).await?;
        if let Some(chunk) = &chunk {
            self.buffer.extend_from_slice(&chunk.bytes);
        }
        Ok(chunk.is_some())
    }
}
