//! A whole version in pieces: begin, parts of about a mebibyte, end. The same on the wire and, length-delimited, in a file.
//!
//! In: a reader of a replica. Out: pieces, and back to records. A part is zstd of encoded `Records` in the order of keys; what it may
//! unpack to is bounded.

use prost::Message as _;
use proto::config as wire;
use wire::snapshot_piece::Piece;

use crate::position::SCHEMA;
use crate::replica::{Reader, Records as _, ReplicaError};

/// Bytes of records in a part, beside the last one.
const PART_BYTES: usize = 1 << 20;

/// Most that a part may unpack to: a part and the largest record (4 MiB of rules and more).
const UNPACKED_MAX_BYTES: usize = 16 << 20;

/// zstd level.
const LEVEL: i32 = 1;

/// Tells a version piece by piece, until `told` says no.
///
/// # Errors
/// When the file cannot be read.
pub fn pieces(reader: &Reader<'_>, told: &mut dyn FnMut(Piece) -> bool) -> Result<(), ReplicaError> {
    let (position, records) = (reader.position()?, reader.count()?);
    let begin = wire::SnapshotBegin { position: Some(position.into()), records, schema: SCHEMA };
    let mut goes_on = told(Piece::Begin(begin));
    let (mut batch, mut bytes) = (wire::Records::default(), 0);
    reader.for_each("", &mut |key, value| {
        if !goes_on {
            return;
        }
        bytes += key.len() + value.len();
        batch.records.push(wire::Record { key: key.to_owned(), value: Some(value.to_vec()) });
        if bytes >= PART_BYTES {
            goes_on = told(Piece::Part(pack(&std::mem::take(&mut batch))));
            bytes = 0;
        }
    })?;
    if goes_on && !batch.records.is_empty() {
        goes_on = told(Piece::Part(pack(&batch)));
    }
    if goes_on {
        told(Piece::End(wire::SnapshotEnd {}));
    }
    Ok(())
}

/// A version as a file.
///
/// # Errors
/// When the replica cannot be read.
pub fn to_file(reader: &Reader<'_>) -> Result<Vec<u8>, ReplicaError> {
    let mut bytes = Vec::new();
    pieces(reader, &mut |piece| {
        bytes.extend(wire::SnapshotPiece { piece: Some(piece) }.encode_length_delimited_to_vec());
        true
    })?;
    Ok(bytes)
}

/// The pieces of a file, until one cannot be read.
pub fn from_file(mut bytes: &[u8]) -> impl Iterator<Item = Result<Piece, String>> + '_ {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let piece =
            wire::SnapshotPiece::decode_length_delimited(&mut bytes).map_err(|error| error.to_string());
        if piece.is_err() {
            bytes = &[];
        }
        Some(piece.and_then(|piece| piece.piece.ok_or_else(|| "a piece is of an unknown kind".to_owned())))
    })
}

fn pack(records: &wire::Records) -> wire::SnapshotPart {
    let encoded = records.encode_to_vec();
    // zstd fails only where its output buffer is too small, which its own bound rules out.
    let records_zstd = zstd::bulk::compress(&encoded, LEVEL).unwrap_or_default();
    wire::SnapshotPart { records_zstd }
}

/// The records of a part; the error says what is wrong.
pub(crate) fn unpack(part: &wire::SnapshotPart) -> Result<Vec<wire::Record>, String> {
    let bytes = zstd::bulk::decompress(&part.records_zstd, UNPACKED_MAX_BYTES)
        .map_err(|error| format!("a part cannot be unpacked: {error}"))?;
    let records =
        wire::Records::decode(bytes.as_slice()).map_err(|error| format!("a part cannot be read: {error}"))?;
    Ok(records.records)
}
