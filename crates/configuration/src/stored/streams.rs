//! Records of data streams beside the one that is made with a property.
//!
//! In: checked values. Out: records, and back with every field checked again. Invariant: a stream stands in three records that are written
//! together ([`put`], [`delete`]): by its measurement id, among those of its property, and as the claim of its measurement id. Edges get
//! the first, without name and time.

use property::{is_measurement_id, is_property_id};
use prost::Message as _;
use proto::config as wire;

use super::{StoredError, decode, measurement_id_key, wrong};

/// `stream/M-…`: [`wire::StoredStream`].
pub const STREAM: &str = "stream/";
/// `stream_of/p_…/M-…`: empty; finds the streams of a property.
pub const STREAM_OF: &str = "stream_of/";

/// A data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// `p_…`
    pub property_id: String,
    /// `M-…`
    pub measurement_id: String,
    /// Display name; empty at edges.
    pub name: String,
    /// Unix milliseconds; 0 at edges.
    pub created_at_ms: u64,
}

/// Key of a stream.
pub fn stream_key(measurement_id: &str) -> String {
    format!("{STREAM}{measurement_id}")
}

/// Key under which a property's stream is found.
pub fn stream_of_key(property_id: &str, measurement_id: &str) -> String {
    format!("{STREAM_OF}{property_id}/{measurement_id}")
}

/// The records of a stream.
pub fn put(stream: &Stream) -> [(String, Vec<u8>); 3] {
    let Stream { property_id, measurement_id, .. } = stream;
    let claim = wire::StoredClaim { property_id: property_id.clone() }.encode_to_vec();
    [
        (stream_key(measurement_id), value(stream.clone())),
        (stream_of_key(property_id, measurement_id), Vec::new()),
        (measurement_id_key(measurement_id), claim),
    ]
}

/// The keys of a stream's records.
pub fn delete(stream: &Stream) -> [String; 3] {
    put(stream).map(|(key, _value)| key)
}

/// A stream as it is stored.
///
/// # Errors
/// When it cannot be read.
pub fn read_stream(key: &str, value: &[u8]) -> Result<Stream, StoredError> {
    let wire::StoredStream { property_id, measurement_id, name, created_at_ms } = decode(key, value)?;
    if !is_property_id(&property_id) || !is_measurement_id(&measurement_id) {
        return Err(wrong(key, "property_id or measurement_id is none"));
    }
    if key != stream_key(&measurement_id) {
        return Err(wrong(key, "it is that of another stream"));
    }
    Ok(Stream { property_id, measurement_id, name, created_at_ms })
}

/// What edges are told of a stream.
pub(super) fn for_edges(key: &str, stored: &[u8]) -> Result<Vec<u8>, StoredError> {
    Ok(value(Stream { name: String::new(), created_at_ms: 0, ..read_stream(key, stored)? }))
}

fn value(stream: Stream) -> Vec<u8> {
    let Stream { property_id, measurement_id, name, created_at_ms } = stream;
    wire::StoredStream { property_id, measurement_id, name, created_at_ms }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream {
            property_id: "p_abcdefghijkl".into(),
            measurement_id: "M-ABCDEFGHIJ".into(),
            name: "till".into(),
            created_at_ms: 7,
        }
    }

    #[test]
    fn a_stream_comes_out_as_it_went_in_and_edges_are_not_told_its_name() {
        let [(key, value), (of, _), (claim, _)] = put(&stream());
        assert_eq!(
            [&key, &of, &claim],
            ["stream/M-ABCDEFGHIJ", "stream_of/p_abcdefghijkl/M-ABCDEFGHIJ", "measurement_id/M-ABCDEFGHIJ"]
        );
        assert_eq!(read_stream(&key, &value), Ok(stream()));
        let at_edge = read_stream(&key, &for_edges(&key, &value).unwrap()).unwrap();
        assert_eq!(at_edge, Stream { name: String::new(), created_at_ms: 0, ..stream() });
    }

    #[test]
    fn what_is_not_one_is_refused_with_its_key() {
        for (stream, key) in [
            (stream(), "stream/M-BBBBBBBBBB"),
            (Stream { measurement_id: "G-1".into(), ..stream() }, "stream/G-1"),
            (Stream { property_id: String::new(), ..stream() }, "stream/M-ABCDEFGHIJ"),
        ] {
            let error = read_stream(key, &value(stream)).unwrap_err();
            assert_eq!(error.key, key);
        }
    }
}
