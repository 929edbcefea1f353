//! A hub with real QUIC, TLS and gRPC: nothing is acknowledged before it is stored, and nothing acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::panic)] // clippy's exemption for tests does not reach helper functions of an integration test

mod harness;
mod feed;
mod process;
mod power;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use batch::Lane;
use harness::{Faulty, Running, batch, copies, lane, segments};
use tokio::sync::Semaphore;
use transport::{LaneReceiver, LaneSender, RefusalCode, TransportError};

async fn acks(receiver: &mut LaneReceiver, count: usize) -> BTreeSet<u64> {
    let mut seqs = BTreeSet::new();
    while seqs.len() < count {
        seqs.insert(receiver.next_ack().await.unwrap().seq);
    }
    seqs
}

async fn send(sender: &mut LaneSender, lane: Lane, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        sender.send(&batch("e1", lane, seq)).await.unwrap();
    }
}

fn refusal(error: TransportError) -> RefusalCode {
    match error {
        TransportError::Refused(refusal) => refusal.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn acknowledged_only_after_the_object_is_there() {
    let (store, mut begun) = Faulty::new();
    store.close();
    let hub = Running::start(store.clone()).await;
    let connection = hub.connect("e1").await;
    let (mut sender, mut receiver) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    sender.send(&batch("e1", Lane::Rollup, 1)).await.unwrap();
    begun.recv().await.unwrap();
    assert_eq!((hub.metric("hub_hits_queued"), hub.metric("hub_hits_out_total")), (10, 0));
    // The raw lane goes all the way meanwhile, so an early acknowledgement would be here by now.
    let (mut raw, mut raw_acks) = connection.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    raw.send(&batch("e1", Lane::Raw, 1)).await.unwrap();
    assert_eq!(raw_acks.next_ack().await.unwrap().seq, 1);
    tokio::select! {
        biased;
        early = receiver.next_ack() => panic!("acknowledged before the PUT ended: {early:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(copies(store.as_ref(), "e1", Lane::Rollup, 1).await, 0);
    store.gate.add_permits(1);
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    assert_eq!(copies(store.as_ref(), "e1", Lane::Rollup, 1).await, 1);
    assert_eq!((hub.metric("hub_hits_queued"), hub.metric("hub_hits_out_total")), (0, 10));
    store.gate.add_permits(Semaphore::MAX_PERMITS - 1);
    hub.stop().await;
}

#[tokio::test]
async fn failed_puts_are_repeated_under_new_keys() {
    let (store, mut begun) = Faulty::new();
    store.failing.store(3, Ordering::SeqCst);
    store.lying.store(1, Ordering::SeqCst);
    let hub = Running::start(store.clone()).await;
    let (mut sender, mut receiver) = hub.connect("e1").await.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    sender.send(&batch("e1", Lane::Raw, 1)).await.unwrap();
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    let mut keys = BTreeSet::new();
    while let Ok(key) = begun.try_recv() {
        keys.insert(key);
    }
    // Three failed, one failed after it had written, one succeeded.
    assert_eq!(keys.len(), 5);
    assert_eq!(segments(store.as_ref(), Lane::Raw).await.len(), 2);
    assert_eq!(copies(store.as_ref(), "e1", Lane::Raw, 1).await, 2);
    assert_eq!(hub.metric("hub_segment_put_failures_total{lane=\"raw\"}"), 4);
    hub.stop().await;
}

#[tokio::test]
async fn pipelined_batches_of_two_lanes_and_edges_share_segments() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start_with(store.clone(), |config| config.segment.delay_ms = 200).await;
    let (first, second) = (hub.connect("e1").await, hub.connect("e2").await);
    let (mut rollup, mut rollup_acks) = first.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    let (mut raw, mut raw_acks) = first.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    let (mut other, mut other_acks) = second.open_lane(&lane("e2", Lane::Rollup)).await.unwrap();
    for seq in 1..=50 {
        rollup.send(&batch("e1", Lane::Rollup, seq)).await.unwrap();
        raw.send(&batch("e1", Lane::Raw, seq)).await.unwrap();
        other.send(&batch("e2", Lane::Rollup, seq)).await.unwrap();
    }
    let all: BTreeSet<u64> = (1..=50).collect();
    assert_eq!(acks(&mut rollup_acks, 50).await, all);
    assert_eq!(acks(&mut raw_acks, 50).await, all);
    assert_eq!(acks(&mut other_acks, 50).await, all);
    for (edge, lane) in [("e1", Lane::Rollup), ("e1", Lane::Raw), ("e2", Lane::Rollup)] {
        for seq in 1..=50 {
            assert_eq!(copies(store.as_ref(), edge, lane, seq).await, 1, "{edge} {lane:?} {seq}");
        }
    }
    assert!(segments(store.as_ref(), Lane::Rollup).await.len() < 50, "batches do not share segments");
    assert_eq!(hub.metric("hub_receive_batches_total{lane=\"rollup\",result=\"received\"}"), 100);
    assert_eq!(hub.metric("hub_hits_in_total"), 1_000);
    assert_eq!(hub.metric("hub_hits_out_total"), 1_000);
    assert_eq!(hub.metric("hub_hits_queued"), 0);
    hub.stop().await;
}

#[tokio::test]
async fn full_segment_is_written_before_its_delay() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start_with(store.clone(), |config| {
        config.segment.delay_ms = 3_600_000;
        config.segment.bytes = 8_000;
    })
    .await;
    let (mut sender, mut receiver) =
        hub.connect("e1").await.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    // 800 bytes each.
    send(&mut sender, Lane::Rollup, 1..=20).await;
    assert_eq!(acks(&mut receiver, 20).await.len(), 20);
    let sizes: Vec<usize> = segments(store.as_ref(), Lane::Rollup).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 10]);
    hub.stop().await;
}

#[tokio::test]
async fn lost_connection_and_resending_lose_nothing() {
    let (store, mut begun) = Faulty::new();
    store.close();
    let hub = Running::start(store.clone()).await;
    let connection = hub.connect("e1").await;
    let (mut sender, mut receiver) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    send(&mut sender, Lane::Rollup, 1..=5).await;
    begun.recv().await.unwrap();
    connection.close();
    let lost = receiver.next_ack().await.unwrap_err();
    assert!(lost.is_retryable(), "{lost}");
    let (mut sender, mut receiver) =
        hub.connect("e1").await.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    send(&mut sender, Lane::Rollup, 1..=8).await;
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    assert_eq!(acks(&mut receiver, 8).await, (1..=8).collect());
    for seq in 1..=8 {
        let copies = copies(store.as_ref(), "e1", Lane::Rollup, seq).await;
        // The first PUT held at least the first batch; what came after it was closed off may have been lost with it.
        let expected = if seq == 1 { 2..=2 } else { 1..=2 };
        assert!(expected.contains(&copies), "batch {seq}: {copies} copies");
    }
    hub.stop().await;
}

#[tokio::test]
async fn graceful_stop_stores_and_acknowledges_what_was_received() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start_with(store.clone(), |config| config.segment.delay_ms = 3_600_000).await;
    let connection = hub.connect("e1").await;
    let (mut rollup, mut rollup_acks) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    let (mut raw, mut raw_acks) = connection.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    send(&mut rollup, Lane::Rollup, 1..=5).await;
    send(&mut raw, Lane::Raw, 1..=3).await;
    let received = |lane| format!("hub_receive_batches_total{{lane=\"{lane}\",result=\"received\"}}");
    while hub.metric(&received("rollup")) < 5 || hub.metric(&received("raw")) < 3 {
        tokio::task::yield_now().await;
    }
    hub.context.shutdown.cancel();
    assert!(hub.context.readiness.check().is_err());
    assert_eq!(acks(&mut rollup_acks, 5).await, (1..=5).collect());
    assert_eq!(acks(&mut raw_acks, 3).await, (1..=3).collect());
    assert_eq!(refusal(rollup_acks.next_ack().await.unwrap_err()), RefusalCode::ShuttingDown);
    assert_eq!(refusal(raw_acks.next_ack().await.unwrap_err()), RefusalCode::ShuttingDown);
    for seq in 1..=5 {
        assert_eq!(copies(store.as_ref(), "e1", Lane::Rollup, seq).await, 1);
    }
    assert_eq!(hub.metric("hub_hits_queued"), 0);
    hub.stop().await;
}

#[tokio::test]
async fn batch_of_another_edge_is_refused_and_counted() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start(store.clone()).await;
    let connection = hub.connect("e1").await;
    let (mut sender, mut receiver) = connection.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    sender.send(&batch("e1", Lane::Raw, 1)).await.unwrap();
    sender.send(&batch("e2", Lane::Raw, 2)).await.unwrap();
    // What came before it is stored and acknowledged all the same.
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    assert_eq!(refusal(receiver.next_ack().await.unwrap_err()), RefusalCode::Identity);
    assert_eq!(hub.metric("hub_receive_batches_total{lane=\"raw\",result=\"identity\"}"), 1);
    // A lane of another edge is refused before it carries anything.
    let error = connection.open_lane(&lane("e2", Lane::Raw)).await.unwrap_err();
    assert_eq!(refusal(error), RefusalCode::Identity);
    assert_eq!(copies(store.as_ref(), "e2", Lane::Raw, 2).await, 0);
    hub.stop().await;
}

#[tokio::test]
async fn store_that_creates_twice_is_refused_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = harness::config(harness::files(&directory, identity::Role::Hub, "h1"));
    let context = service::Context::new(service::SystemClock::shared());
    let error = hub::run_on(Faulty::overwriting(), config, context).await.unwrap_err();
    assert!(error.to_string().contains("be created twice"), "{error}");
}

#[tokio::test]
async fn status_tells_queues_and_limits() {
    let (store, mut begun) = Faulty::new();
    store.close();
    let hub = Running::start(store.clone()).await;
    let (mut sender, mut receiver) =
        hub.connect("e1").await.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    sender.send(&batch("e1", Lane::Rollup, 1)).await.unwrap();
    begun.recv().await.unwrap();
    let status = hub.context.status().unwrap();
    let service = &status["services"][0];
    assert_eq!((service["service"].as_str(), service["id"].as_str()), (Some("hub"), Some("h1")));
    assert_eq!(service["queues"]["rollup_batches"]["length"], 1);
    assert_eq!(service["queues"]["rollup_bytes"]["length"], 800);
    assert_eq!(service["queues"]["rollup_bytes"]["limit"], 256 * 1024 * 1024);
    assert_eq!(service["stores"]["segments_raw"], 0);
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    receiver.next_ack().await.unwrap();
    let status = hub.context.status().unwrap();
    assert_eq!(status["services"][0]["queues"]["rollup_batches"]["length"], 0);
    assert_eq!(status["services"][0]["lag_seconds"], 0.0);
    hub.stop().await;
}

#[tokio::test]
async fn local_directory_keeps_acknowledged_batches() {
    let directory = tempfile::tempdir().unwrap();
    let store = store::open(&store::StoreConfig::local(directory.path()).unwrap()).unwrap();
    let hub = Running::start(Arc::clone(&store)).await;
    let (mut sender, mut receiver) =
        hub.connect("e1").await.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    send(&mut sender, Lane::Rollup, 1..=3).await;
    assert_eq!(acks(&mut receiver, 3).await, (1..=3).collect());
    for seq in 1..=3 {
        assert_eq!(copies(store.as_ref(), "e1", Lane::Rollup, seq).await, 1);
    }
    hub.stop().await;
}
