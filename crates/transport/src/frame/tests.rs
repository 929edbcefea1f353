//! Frames round trip, keep their bytes for ever, and nothing that is not one is taken for one.

use expect_test::expect;
use proptest::prelude::*;
use proto::batch::Lane;

use super::*;

fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let (head, body) = bytes.split_at(HEAD_BYTES);
    let head = decode_head(head.try_into().unwrap())?;
    assert_eq!(head.body_bytes, body.len());
    decode_body(head, body)
}

fn header(seq: u64) -> BatchHeader {
    BatchHeader {
        format: 1,
        edge: "edge-1".into(),
        epoch: vec![7; 16],
        lane: Lane::Raw.into(),
        seq,
        from: 10,
        to: 20,
        complete_until_ms: 99,
        payload_bytes: 3,
        payload_crc32c: 0x364b_3fb7,
    }
}

fn one_of_each() -> Vec<Frame> {
    vec![
        Frame::Hello(Hello {
            version: 1,
            edge: "edge-1".into(),
            epoch: vec![7; 16],
            lane: Lane::Rollup.into(),
        }),
        Frame::HelloReply(HelloReply { version: 1, hub: "hub-1".into() }),
        Frame::Refused(Refused { code: "corrupt".into(), message: "no".into() }),
        Frame::Batch(header(1)),
        Frame::Ack(Ack { seq: 300 }),
    ]
}

#[test]
fn golden_bytes_of_version_1() {
    let lines: Vec<String> = one_of_each().iter().map(|frame| hex::encode(frame.encode())).collect();
    expect![[r#"
        1e0000000108011206656467652d311a10070707070707070707070707070707072001
        0900000002080112056875622d31
        0d000000030a07636f727275707412026e6f
        2d0000000408011206656467652d311a100707070707070707070707070707070720022801300a38144063480355b73f4b36
        030000000508ac02"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn every_kind_round_trips() {
    for frame in one_of_each() {
        assert_eq!(decode(&frame.encode()).as_ref(), Ok(&frame));
    }
}

#[test]
fn other_heads_are_refused() {
    for (bytes, expected) in [
        ([0, 0, 0, 0, 0], FrameError::Kind(0)),
        ([0, 0, 0, 0, 6], FrameError::Kind(6)),
        ([1, 16, 0, 0, 5], FrameError::TooLong(4097)),
        ([255, 255, 255, 255, 4], FrameError::TooLong(u32::MAX)),
        (*b"GET /", FrameError::TooLong(u32::from_le_bytes(*b"GET "))),
    ] {
        assert_eq!(decode_head(bytes), Err(expected));
    }
    assert_eq!(decode_head([0, 16, 0, 0, 5]).map(|head| head.body_bytes), Ok(4096));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), HEAD_BYTES..200)) {
        let (head, body) = bytes.split_at(HEAD_BYTES);
        if let Ok(head) = decode_head(head.try_into().unwrap()) {
            let _either = decode_body(head, body);
        }
    }

    #[test]
    fn batch_headers_round_trip(seq in any::<u64>(), from in any::<u64>(), edge in "[a-z0-9-]{1,63}") {
        let frame = Frame::Batch(BatchHeader { edge, from, ..header(seq) });
        prop_assert_eq!(decode(&frame.encode()), Ok(frame));
    }
}
