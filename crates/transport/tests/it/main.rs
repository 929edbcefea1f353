//! Client and server over real QUIC and TLS: what is acknowledged, what is refused and with which code.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy's exemption for tests does not reach helper functions of an integration test

mod harness;

use batch::Lane;
use harness::{EDGE, Hub, batch, lane};
use proto::batch::{BatchHeader, Hello};
use transport::frame::Frame;
use transport::{RefusalCode, ServerConfig, TransportError};

fn refused(error: &TransportError) -> &RefusalCode {
    match error {
        TransportError::Refused(refusal) => &refusal.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn pipelined_batches_are_acknowledged_in_any_order() {
    let mut hub = Hub::start().await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    assert_eq!(connection.hub().to_string(), "h1.hub.meridian.internal");
    let (mut sender, mut receiver) = connection.open_lane(&lane(Lane::Rollup)).await.unwrap();
    for seq in 1..=5 {
        sender.send(&batch(Lane::Rollup, seq, 100_000)).await.unwrap();
    }
    let mut received = Vec::new();
    for seq in 1..=5 {
        let incoming = hub.rollup.recv().await.unwrap();
        assert_eq!(incoming.batch, batch(Lane::Rollup, seq, 100_000));
        received.push(incoming.ack);
    }
    for (ack, seq) in received.into_iter().rev().zip([5, 4, 3, 2, 1]) {
        ack.send();
        assert_eq!(receiver.next_ack().await.unwrap().seq, seq);
    }
}

#[tokio::test]
async fn empty_and_large_batches_pass() {
    let mut hub = Hub::start().await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    let (mut sender, mut receiver) = connection.open_lane(&lane(Lane::Raw)).await.unwrap();
    // Larger than every window on the way.
    for (seq, bytes) in [(1, 0), (2, 12 << 20), (3, 0)] {
        let batch = batch(Lane::Raw, seq, bytes);
        sender.send(&batch).await.unwrap();
        let incoming = hub.raw.recv().await.unwrap();
        assert!(incoming.batch == batch, "batch {seq} came differently");
        incoming.ack.send();
        assert_eq!(receiver.next_ack().await.unwrap().seq, seq);
    }
}

#[tokio::test]
async fn raw_lane_that_is_not_read_leaves_the_rollup_lane_alone() {
    let mut hub = Hub::start_with(|config| config.lane_bytes = 100_000).await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    let (mut raw, _raw_acks) = connection.open_lane(&lane(Lane::Raw)).await.unwrap();
    for seq in 1..=200 {
        raw.enqueue(&batch(Lane::Raw, seq, 100_000));
    }
    let (mut rollup, mut acks) = connection.open_lane(&lane(Lane::Rollup)).await.unwrap();
    rollup.enqueue(&batch(Lane::Rollup, 1, 1_000));
    // 20 MB do not fit into the windows, so the raw lane never gets rid of its own.
    let answer = tokio::select! {
        sent = raw.flush() => panic!("the raw lane was read: {sent:?}"),
        ack = async {
            rollup.flush().await.unwrap();
            hub.rollup.recv().await.unwrap().ack.send();
            acks.next_ack().await
        } => ack,
    };
    assert_eq!(answer.unwrap().seq, 1);
    // One batch's worth of bytes is handed on, and no second before its acknowledgement.
    let first = hub.raw.recv().await.unwrap();
    assert!(hub.raw.try_recv().is_err());
    first.ack.send();
    tokio::select! {
        sent = raw.flush() => panic!("the raw lane was read to the end: {sent:?}"),
        second = hub.raw.recv() => assert_eq!(second.unwrap().batch.header().id.seq, 2),
    }
}

#[tokio::test]
async fn send_that_was_dropped_half_way_carries_on() {
    let mut hub = Hub::start_with(|config| config.lane_batches = 1).await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    let (mut sender, mut receiver) = connection.open_lane(&lane(Lane::Raw)).await.unwrap();
    let batches: Vec<_> = (1..=8).map(|seq| batch(Lane::Raw, seq, 1 << 20)).collect();
    for batch in &batches {
        // Polled once, then dropped.
        tokio::select! {
            biased;
            sent = sender.send(batch) => sent.unwrap(),
            () = std::future::ready(()) => {}
        }
    }
    for batch in &batches {
        let incoming = tokio::select! {
            incoming = hub.raw.recv() => incoming.unwrap(),
            sent = async { sender.flush().await.unwrap(); std::future::pending::<()>().await } => panic!("{sent:?}"),
        };
        assert!(incoming.batch == *batch);
        incoming.ack.send();
        assert_eq!(receiver.next_ack().await.unwrap().seq, batch.header().id.seq);
    }
    assert!(sender.is_flushed());
}

#[tokio::test]
async fn batch_that_is_dropped_is_not_acknowledged() {
    let mut hub = Hub::start().await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    let (mut sender, mut receiver) = connection.open_lane(&lane(Lane::Rollup)).await.unwrap();
    for seq in 1..=2 {
        sender.send(&batch(Lane::Rollup, seq, 10)).await.unwrap();
    }
    drop(hub.rollup.recv().await.unwrap());
    hub.rollup.recv().await.unwrap().ack.send();
    assert_eq!(receiver.next_ack().await.unwrap().seq, 2);
    sender.finish().unwrap();
    let end = receiver.next_ack().await.unwrap_err();
    assert!(matches!(end, TransportError::Ended) && end.is_retryable(), "{end}");
}

#[tokio::test]
async fn shutdown_acknowledges_what_was_received_and_says_so() {
    let mut hub = Hub::start().await;
    let connection = hub.edge().connect(hub.address).await.unwrap();
    let (mut sender, mut receiver) = connection.open_lane(&lane(Lane::Rollup)).await.unwrap();
    sender.send(&batch(Lane::Rollup, 1, 10)).await.unwrap();
    let incoming = hub.rollup.recv().await.unwrap();
    hub.shutdown.cancel();
    // The queue closes although a batch is not acknowledged yet.
    assert!(hub.rollup.recv().await.is_none());
    incoming.ack.send();
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    let error = receiver.next_ack().await.unwrap_err();
    assert_eq!(refused(&error), &RefusalCode::ShuttingDown);
    assert!(error.is_retryable());
    hub.running.await.unwrap();
    assert!(connection.closed().await.is_retryable());
}

#[tokio::test]
async fn strangers_and_wrong_roles_are_refused() {
    let hub = Hub::start().await;
    let stranger = hub.stranger().connect(hub.address).await;
    // The client has finished its handshake before the server has seen the certificate.
    if let Ok(connection) = stranger {
        assert!(connection.open_lane(&lane(Lane::Raw)).await.is_err());
    }
    let loader = hub.endpoint(identity::Role::Loader, EDGE).connect(hub.address).await.unwrap();
    let error = loader.open_lane(&lane(Lane::Raw)).await.unwrap_err();
    assert_eq!(refused(&error), &RefusalCode::Identity);
    assert!(error.to_string().contains("e1.loader.meridian.internal"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn only_a_hub_is_talked_to_and_only_the_one_asked_for() {
    let hub = Hub::start().await;
    let h2 = identity::Identity::new(identity::Role::Hub, "h2").unwrap();
    assert!(hub.edge().connect_to(hub.address, &h2).await.is_err());
    let h1 = identity::Identity::new(identity::Role::Hub, "h1").unwrap();
    assert_eq!(hub.edge().connect_to(hub.address, &h1).await.unwrap().hub(), &h1);
    let error = transport::Server::bind(&hub.files(identity::Role::Edge, EDGE), &ServerConfig::default());
    assert!(error.unwrap_err().to_string().contains("only a service with the role hub"));
}

#[tokio::test]
async fn hello_must_fit_the_certificate_and_the_version() {
    let good = Hello { version: 1, edge: EDGE.into(), epoch: vec![7; 16], lane: Lane::Raw.into() };
    for (hello, code) in [
        (Hello { edge: "e2".into(), ..good.clone() }, RefusalCode::Identity),
        (Hello { epoch: vec![7; 15], ..good.clone() }, RefusalCode::Identity),
        (Hello { version: 0, ..good.clone() }, RefusalCode::Version),
        (Hello { lane: 0, ..good.clone() }, RefusalCode::Version),
        (Hello { lane: 9, ..good.clone() }, RefusalCode::Version),
    ] {
        let hub = Hub::start().await;
        let frame = Frame::Hello(hello.clone()).encode();
        assert_eq!(hub.answer_to(&[frame]).await, code, "{hello:?}");
    }
}

#[tokio::test]
async fn batches_that_are_not_what_was_sealed_are_refused() {
    let sealed = batch(Lane::Raw, 1, 100);
    let good = BatchHeader::from(sealed.header());
    for (header, code) in [
        (BatchHeader { payload_crc32c: good.payload_crc32c ^ 1, ..good.clone() }, RefusalCode::Corrupt),
        (BatchHeader { seq: 0, ..good.clone() }, RefusalCode::Corrupt),
        (BatchHeader { from: 9_999, ..good.clone() }, RefusalCode::Corrupt),
        (BatchHeader { edge: "e2".into(), ..good.clone() }, RefusalCode::Identity),
        (BatchHeader { epoch: vec![8; 16], ..good.clone() }, RefusalCode::Identity),
        (BatchHeader { lane: Lane::Rollup.into(), ..good.clone() }, RefusalCode::Identity),
        (BatchHeader { payload_bytes: (64 << 20) + 1, ..good.clone() }, RefusalCode::TooLarge),
        (BatchHeader { format: 2, ..good.clone() }, RefusalCode::Version),
    ] {
        let mut hub = Hub::start().await;
        let frames =
            [harness::hello(Lane::Raw), Frame::Batch(header.clone()).encode(), sealed.payload().clone()];
        assert_eq!(hub.answer_to(&frames).await, code, "{header:?}");
        assert!(hub.raw.try_recv().is_err(), "{header:?} was handed on");
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_are_refused() {
    let hub = Hub::start().await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 0, 99], &[0, 0, 0, 0, 5]] {
        assert_eq!(hub.answer_to(&[bytes::Bytes::from_static(bytes)]).await, RefusalCode::Version);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_until_one_goes() {
    let hub = Hub::start_with(|config| config.max_connections = 1).await;
    let first = hub.edge().connect(hub.address).await.unwrap();
    let error = hub.edge().connect(hub.address).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    first.close();
    while hub.edge().connect(hub.address).await.is_err() {}
}
