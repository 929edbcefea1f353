//! Fields of a protobuf message as bytes, or only counted: a message's length stands before it.

use prost::encoding::{self, WireType};

/// Where fields go: bytes, or only their number.
pub(super) trait Output {
    /// Tag and length of a field whose bytes follow.
    fn begin(&mut self, tag: u32, length: u64);
    /// A whole field.
    fn bytes(&mut self, tag: u32, bytes: &[u8]);
    /// A whole field.
    fn varint(&mut self, tag: u32, number: u64);
    /// A whole field.
    fn fixed(&mut self, tag: u32, number: u64);
}

/// Counts bytes.
pub(super) struct Length(pub(super) u64);

impl Output for Length {
    fn begin(&mut self, tag: u32, length: u64) {
        self.0 += key_length(tag) + varint_length(length);
    }

    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        let length = bytes.len() as u64;
        self.begin(tag, length);
        self.0 += length;
    }

    fn varint(&mut self, tag: u32, number: u64) {
        self.0 += key_length(tag) + varint_length(number);
    }

    fn fixed(&mut self, tag: u32, _number: u64) {
        self.0 += key_length(tag) + 8;
    }
}

impl Output for Vec<u8> {
    fn begin(&mut self, tag: u32, length: u64) {
        encoding::encode_key(tag, WireType::LengthDelimited, self);
        encoding::encode_varint(length, self);
    }

    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        self.begin(tag, bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn varint(&mut self, tag: u32, number: u64) {
        encoding::encode_key(tag, WireType::Varint, self);
        encoding::encode_varint(number, self);
    }

    fn fixed(&mut self, tag: u32, number: u64) {
        encoding::encode_key(tag, WireType::SixtyFourBit, self);
        self.extend_from_slice(&number.to_le_bytes());
    }
}

fn key_length(tag: u32) -> u64 {
    encoding::key_len(tag) as u64
}

/// Bytes of a varint.
fn varint_length(number: u64) -> u64 {
    encoding::encoded_len_varint(number) as u64
}

/// A text field, unless it is empty.
pub(super) fn text(tag: u32, text: &str, out: &mut impl Output) {
    if !text.is_empty() {
        out.bytes(tag, text.as_bytes());
    }
}

/// A varint field, unless it is 0.
pub(super) fn number(tag: u32, number: u64, out: &mut impl Output) {
    if number != 0 {
        out.varint(tag, number);
    }
}
