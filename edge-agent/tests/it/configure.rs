//! A hub as far as the configuration goes: the real feed over a copy and salts that the test changes, or one that says what it should not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use configuration::fixture;
use configuration::replica::NoView;
use configuration::serve::{Feed, Followers};
use configuration::{Replica, Salts};
use futures::{Stream, StreamExt as _};
use hyper::{Method, StatusCode};
use identity::Role;
use proto::config::config_feed_server::{ConfigFeed, ConfigFeedServer};
use proto::config::follow_response::Sent;
use proto::config::snapshot_piece::Piece;
use proto::config::{FollowRequest, FollowResponse, Record, SnapshotBegin, SnapshotPiece};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::edge::{Edge, Site};

/// The longest that anything here takes on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) replica: Arc<Replica>,
    pub(crate) salts: Salts,
    followers: Arc<Followers>,
    shutdown: CancellationToken,
}

impl Source {
    /// With what the site's edge has.
    pub(crate) async fn start(site: &Site) -> Self {
        let path = site.path().join("source.redb");
        std::fs::copy(site.path().join("data").join(edge_agent::CONFIG_FILE), &path).unwrap();
        let replica = Replica::open(&path, 1 << 20, Arc::new(NoView)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let salts = Salts::default();
        let (followers, shutdown) = (Arc::new(Followers::default()), CancellationToken::new());
        let feed = Feed {
            replica: Arc::clone(&replica),
            salts: salts.clone(),
            followers: Arc::clone(&followers),
            role: Role::Edge,
            places: Arc::new(Semaphore::new(8)),
            shutdown: shutdown.clone(),
        };
        let tls = identity::tonic_server_config(&site.hub_tls).unwrap();
        let server = Server::builder().tls_config(tls).unwrap().add_service(feed.into_service());
        let stop = shutdown.clone().cancelled_owned();
        tokio::spawn(server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stop));
        Self { url, replica, salts, followers, shutdown }
    }

    /// Makes the next version; returns when the edge has it in force.
    pub(crate) async fn change(&self, records: Vec<Record>) {
        let delta = fixture::next(&self.replica, records).unwrap();
        self.replica.apply(&[delta]).unwrap();
        let version = self.replica.position().version;
        let mut reach = self.followers.watch();
        let applied = reach.wait_for(|reach| reach.edges > 0 && reach.version >= Some(version));
        tokio::time::timeout(LONG, applied).await.expect("the edge takes the version in").unwrap();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A hub that says what it is told to, whatever a follower has.
struct Script(Mutex<VecDeque<Vec<Sent>>>);

#[tonic::async_trait]
impl ConfigFeed for Script {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowResponse, Status>> + Send>>;

    async fn follow(
        &self,
        _request: Request<Streaming<FollowRequest>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let said = self.0.lock().unwrap().pop_front().ok_or_else(|| Status::unavailable("no more to say"))?;
        let said = said.into_iter().map(|sent| Ok(FollowResponse { sent: Some(sent) }));
        // Open to the end, as a hub's is.
        Ok(Response::new(Box::pin(futures::stream::iter(said).chain(futures::stream::pending()))))
    }
}

fn snapshot(pieces: impl IntoIterator<Item = Piece>) -> Vec<Sent> {
    pieces.into_iter().map(|piece| Sent::Snapshot(SnapshotPiece { piece: Some(piece) })).collect()
}

fn pieces(replica: &Replica) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let reader = replica.read().unwrap();
    configuration::snapshot::pieces(&reader, &mut |piece| {
        pieces.push(piece);
        true
    })
    .unwrap();
    pieces
}

/// The same with its position changed.
fn at(mut pieces: Vec<Piece>, change: impl FnOnce(&mut SnapshotBegin)) -> Vec<Sent> {
    let Some(Piece::Begin(begin)) = pieces.first_mut() else { panic!("{pieces:?}") };
    change(begin);
    snapshot(pieces)
}

async fn page_view(edge: &Edge, site: &Site) -> StatusCode {
    let id = &site.measurement_id;
    let body = format!(r#"{{"measurement_id":"{id}","hits":[{{"url":"https://shop.example.com/"}}]}}"#);
    edge.send(Method::POST, "/v1/collect", &[], body).await.status
}

async fn metric(edge: &Edge, name: &str) -> String {
    let metrics = String::from_utf8(edge.admin("/metrics").await.body.to_vec()).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_that_is_empty_older_or_damaged_is_refused_and_the_last_good_one_stays() {
    let site = Site::new();
    let source = Source::start(&site).await;
    for n in 0..3 {
        let records = vec![fixture::alias(&site.alias("ga4", &format!("G-{n}"), ""), true)];
        let delta = fixture::next(&source.replica, records).unwrap();
        source.replica.apply(&[delta]).unwrap();
    }
    let mut config = site.config("127.0.0.1:9");
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    source.change(vec![fixture::alias(&site.alias("ga4", "G-9", ""), true)]).await;
    assert_eq!(metric(&edge, "edge_config_version").await, "5");
    assert!(edge.stop().await);

    let good = pieces(&source.replica);
    let newer = |pieces: Vec<Piece>| at(pieces, |begin| begin.position.as_mut().unwrap().version = 6);
    let mut damaged = good.clone();
    let Piece::Part(part) = &mut damaged[1] else { panic!() };
    let middle = part.records_zstd.len() / 2;
    part.records_zstd[middle] ^= 1;
    let mut delta = fixture::next(&source.replica, vec![fixture::property(&site.property)]).unwrap();
    delta.position.as_mut().unwrap().checksum[0] ^= 1;
    let said = [
        ("empty", at(good.clone(), |begin| begin.records = 0)),
        ("older", at(good.clone(), |begin| begin.position.as_mut().unwrap().version = 4)),
        ("corrupt", newer(damaged)),
        ("corrupt", newer([&good[..1], &good[2..]].concat())),
        ("corrupt", vec![Sent::Delta(delta)]),
        ("other_history", at(good.clone(), |begin| begin.position.as_mut().unwrap().history[0] ^= 1)),
        ("newer_schema", at(good.clone(), |begin| begin.schema += 1)),
    ];
    let script = Script(Mutex::new(said.iter().map(|(_, said)| said.clone()).collect()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.config.sources = vec![format!("https://{}", listener.local_addr().unwrap())];
    config.config.reconnect_max_ms = 100;
    let tls = identity::tonic_server_config(&site.hub_tls).unwrap();
    let server = Server::builder().tls_config(tls).unwrap().add_service(ConfigFeedServer::new(script));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let (edge, log) = site.start_logged(&config).await;
    let refused = async {
        loop {
            let told = std::fs::read_to_string(&log).unwrap();
            let lines: Vec<_> =
                told.lines().filter(|line| line.contains("configuration is refused")).collect();
            if lines.len() >= said.len() {
                return lines.into_iter().map(str::to_owned).collect::<Vec<_>>();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let lines = tokio::time::timeout(LONG, refused).await.expect("every one is refused");
    // One ERROR line each, which shows what was offered.
    for ((reason, _), line) in said.iter().zip(&lines) {
        assert!(line.contains("ERROR") && line.contains(&format!("reason=\"{reason}\"")), "{line}");
        assert!(line.contains("the version in force stays"), "{line}");
    }
    assert_eq!(lines.len(), said.len());
    for (reason, times) in
        [("empty", 1), ("older", 1), ("corrupt", 3), ("other_history", 1), ("newer_schema", 1)]
    {
        let name = format!("edge_config_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(&edge, &name).await, times.to_string(), "{reason}");
    }
    assert_eq!(metric(&edge, "edge_config_version").await, "5");
    assert_eq!(page_view(&edge, &site).await, StatusCode::NO_CONTENT);
    assert!(edge.stop().await);
    // A start without any hub goes on with it.
    config.config.sources.clear();
    let edge = site.start(&config).await;
    assert_eq!(edge.admin("/status").await.json()["services"][0]["config_version"], 5);
    assert_eq!(page_view(&edge, &site).await, StatusCode::NO_CONTENT);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_without_configuration_refuses_hits_until_it_has_one() {
    let site = Site::new();
    let source = Source::start(&site).await;
    let copy = site.path().join("data").join(edge_agent::CONFIG_FILE);
    std::fs::remove_file(&copy).unwrap();
    let mut config = site.config("127.0.0.1:9");
    let edge = site.start_unready(&config).await;
    let id = &site.measurement_id;
    let body = format!(r#"{{"measurement_id":"{id}","hits":[{{"url":"https://shop.example.com/"}}]}}"#);
    for (method, path, body) in [
        (Method::POST, "/v1/collect".to_owned(), body.clone()),
        (Method::GET, format!("/v1/pixel.gif?measurement_id={id}&url=https://a.b/"), String::new()),
        (Method::GET, format!("/g/collect?v=2&tid={id}&cid=1.2&en=page_view"), String::new()),
    ] {
        let answer = edge.send(method, &path, &[], body).await;
        assert_eq!(answer.error(), (503, "unconfigured".into(), String::new()), "{path}");
        assert!(answer.headers.contains_key("retry-after"));
    }
    let ready = edge.admin("/readyz").await;
    assert!(String::from_utf8_lossy(&ready.body).contains("no configuration yet"), "{ready:?}");
    assert!(edge.stop().await);
    // With a source it is ready.
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    assert_eq!(page_view(&edge, &site).await, StatusCode::NO_CONTENT);
    assert!(edge.stop().await);
}
