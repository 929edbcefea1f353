//! Records of erasures: what edges have to forget.
//!
//! In: checked values. Out: records, and back with every field checked again. Edges are not told whose they are.

use property::is_property_id;
use prost::Message as _;
use proto::config as wire;

use super::{StoredError, decode, wrong};

/// `erasure/e_…`: [`wire::StoredErasure`].
pub const ERASURE: &str = "erasure/";

/// An erasure of visitors of a property, or of a whole property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// `e_…`
    pub job: String,
    /// `p_…`
    pub property_id: String,
    /// Empty: the whole property.
    pub visitor_ids: Vec<u64>,
    /// Unix milliseconds.
    pub requested_at_ms: u64,
    /// `o_…`; empty: the operator's, and at edges.
    pub organisation_id: String,
}

/// Key of an erasure.
pub fn erasure_key(job: &str) -> String {
    format!("{ERASURE}{job}")
}

/// Value of an erasure.
pub fn erasure_value(erasure: &Erasure) -> Vec<u8> {
    let Erasure { job, property_id, visitor_ids, requested_at_ms, organisation_id } = erasure.clone();
    wire::StoredErasure { job, property_id, visitor_ids, requested_at_ms, organisation_id }.encode_to_vec()
}

/// An erasure as it is stored.
///
/// # Errors
/// When it cannot be read.
pub fn read_erasure(key: &str, value: &[u8]) -> Result<Erasure, StoredError> {
    let wire::StoredErasure { job, property_id, visitor_ids, requested_at_ms, organisation_id } =
        decode(key, value)?;
    if !is_property_id(&property_id) {
        return Err(wrong(key, "property_id is none"));
    }
    if key != erasure_key(&job) {
        return Err(wrong(key, "it is that of another erasure"));
    }
    Ok(Erasure { job, property_id, visitor_ids, requested_at_ms, organisation_id })
}

/// What edges are told of an erasure.
pub(super) fn for_edges(key: &str, stored: &[u8]) -> Result<Vec<u8>, StoredError> {
    Ok(erasure_value(&Erasure { organisation_id: String::new(), ..read_erasure(key, stored)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_comes_out_as_it_went_in_or_is_refused_with_its_key() {
        let erasure = Erasure {
            job: "e_1".into(),
            property_id: "p_abcdefghijkl".into(),
            visitor_ids: vec![1, u64::MAX],
            requested_at_ms: 7,
            organisation_id: "o_a".into(),
        };
        let value = erasure_value(&erasure);
        assert_eq!(read_erasure("erasure/e_1", &value), Ok(erasure.clone()));
        let at_edge = read_erasure("erasure/e_1", &for_edges("erasure/e_1", &value).unwrap()).unwrap();
        assert_eq!(at_edge, Erasure { organisation_id: String::new(), ..erasure.clone() });
        assert_eq!(read_erasure("erasure/e_2", &value).unwrap_err().key, "erasure/e_2");
        let nobodys = erasure_value(&Erasure { property_id: String::new(), ..erasure });
        assert!(read_erasure("erasure/e_1", &nobodys).is_err());
    }
}
