//! The feed: loaders hear of segments, others do not, and a hub without it works as well.

use batch::Lane;
use identity::Role;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use proto::feed::WatchRequest;
use proto::feed::segment_feed_client::SegmentFeedClient;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Faulty, Running, batch, files, lane};

async fn channel(hub: &Running, role: Role, id: &str) -> Channel {
    let tls =
        identity::tonic_client_config(&files(&hub.directory, role, id), "hub.meridian.internal").unwrap();
    let url = hub.ready["mesh"].as_str().unwrap().to_owned();
    Channel::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn loader_hears_of_the_lane_it_watches() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start(store.clone()).await;
    let mut client = SegmentFeedClient::new(channel(&hub, Role::Loader, "l1").await);
    let request = WatchRequest { lane: Lane::Rollup.into() };
    let mut announcements = client.watch(request).await.unwrap().into_inner();
    let connection = hub.connect("e1").await;
    for each in [Lane::Raw, Lane::Rollup] {
        let (mut sender, mut receiver) = connection.open_lane(&lane("e1", each)).await.unwrap();
        sender.send(&batch("e1", each, 1)).await.unwrap();
        receiver.next_ack().await.unwrap();
    }
    let announced = announcements.message().await.unwrap().unwrap();
    assert!(announced.key.starts_with("segments/rollup/"), "{announced:?}");
    let object = store.get(&Path::from(announced.key.as_str())).await.unwrap();
    assert_eq!(object.meta.size, announced.size_bytes);
    assert_eq!(announced.batches, 1);
    assert_eq!(batch::segment::created_at_ms(&announced.key), Some(announced.created_at_ms));
    // A watch does not hold up the stop of the hub.
    hub.context.shutdown.cancel();
    assert!(!matches!(announcements.message().await, Ok(Some(_))));
    hub.stop().await;
}

#[tokio::test]
async fn only_loaders_may_watch_and_not_too_many() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start_with(store, |config| config.feed.max_watchers = 1).await;
    let edge =
        SegmentFeedClient::new(channel(&hub, Role::Edge, "e1").await).watch(WatchRequest::default()).await;
    assert_eq!(edge.unwrap_err().code(), tonic::Code::PermissionDenied);
    let mut loader = SegmentFeedClient::new(channel(&hub, Role::Loader, "l1").await);
    let first = loader.watch(WatchRequest::default()).await.unwrap();
    let second = loader.watch(WatchRequest::default()).await;
    assert_eq!(second.unwrap_err().code(), tonic::Code::ResourceExhausted);
    drop(first);
    while loader.watch(WatchRequest::default()).await.is_err() {}
    hub.stop().await;
}

#[tokio::test]
async fn health_says_serving() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start(store).await;
    let mut health = HealthClient::new(channel(&hub, Role::Api, "a1").await);
    let request = HealthCheckRequest { service: "meridian.feed.v1.SegmentFeed".into() };
    let answer = health.check(request).await.unwrap().into_inner();
    assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    hub.stop().await;
}

#[tokio::test]
async fn hub_without_a_feed_stores_and_acknowledges() {
    let (store, _begun) = Faulty::new();
    let hub = Running::start_with(store, |config| config.feed.enabled = false).await;
    let mut loader = SegmentFeedClient::new(channel(&hub, Role::Loader, "l1").await);
    let watch = loader.watch(WatchRequest::default()).await;
    assert_eq!(watch.unwrap_err().code(), tonic::Code::Unimplemented);
    let (mut sender, mut receiver) = hub.connect("e1").await.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    sender.send(&batch("e1", Lane::Raw, 1)).await.unwrap();
    assert_eq!(receiver.next_ack().await.unwrap().seq, 1);
    hub.stop().await;
}
