//! Ids keep their text form, and slots never move: plans on disk depend on them.

use super::*;

#[test]
fn edge_ids_are_lower_case_labels() {
    for good in ["e", "edge-1", "fra1-edge-0007"] {
        assert_eq!(good.parse::<EdgeId>().unwrap().as_str(), good);
    }
    for bad in ["", "Edge", "edge_1", "e.f", &"x".repeat(64)] {
        assert_eq!(bad.parse::<EdgeId>(), Err(IdError::Edge(bad.to_owned())));
    }
}

#[test]
fn epochs_round_trip_as_text() {
    let text = "000102030405060708090a0b0c0d0e0f";
    assert_eq!(text.parse::<Epoch>().unwrap().to_string(), text);
    assert!("0001".parse::<Epoch>().is_err());
    assert_eq!(Epoch::from_bytes(&[0; 15]), None);
}

#[test]
fn slots_stay_where_they_are() {
    // From a SipHash-2-4 written in Python after the paper (checked against its test vector), modulo 1,024.
    // A change would move every property to another shard.
    assert_eq!(["p_a", "p_b", "p_demo"].map(slot_of), [870, 737, 332]);
}
