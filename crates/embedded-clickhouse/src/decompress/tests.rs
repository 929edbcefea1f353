//! Round trips, and bodies that are cut or damaged at every byte.

use super::*;

#[test]
fn blocks_survive_the_round_trip() {
    for length in [0, 1, 1000, BLOCK_BYTES, BLOCK_BYTES + 1] {
        let data: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let body = encode(&data).unwrap();
        assert_eq!(decode(&body, u64::MAX).unwrap(), data, "{length}");
    }
}

#[test]
fn damaged_and_cut_bodies_are_refused() {
    let body = encode(b"the same words, the same words, the same words").unwrap();
    for length in 1..body.len() {
        assert_eq!(decode(&body[..length], 100).unwrap_err().code, 33, "cut at {length}");
    }
    for at in 0..body.len() {
        let mut damaged = body.clone();
        damaged[at] ^= 1;
        assert!(decode(&damaged, 100).is_err(), "damaged at {at}");
    }
}

#[test]
fn more_data_than_allowed_is_refused_before_it_is_unpacked() {
    let body = encode(&vec![0; 5000]).unwrap();
    assert_eq!(decode(&body, 4999).unwrap_err().code, 229);
    assert_eq!(decode(&body, 5000).unwrap().len(), 5000);
}

#[test]
fn plain_blocks_are_taken_and_unknown_methods_named() {
    let block = |method: u8, payload: &[u8]| {
        let mut checked = vec![method];
        checked.extend_from_slice(&u32::try_from(HEADER_BYTES + payload.len()).unwrap().to_le_bytes());
        checked.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        checked.extend_from_slice(payload);
        [checksum(&checked).as_slice(), &checked].concat()
    };
    assert_eq!(decode(&block(METHOD_NONE, b"abc"), 10).unwrap(), b"abc");
    assert_eq!(decode(&block(0x90, b"abc"), 10).unwrap_err().code, 89);
}
