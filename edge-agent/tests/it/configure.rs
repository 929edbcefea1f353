//! A hub as far as the configuration goes: the real feed over a copy that the test changes.

use std::sync::Arc;
use std::time::Duration;

use configuration::Replica;
use configuration::fixture;
use configuration::replica::NoView;
use configuration::serve::{Feed, Followers};
use identity::Role;
use proto::config::Record;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::edge::Site;

/// The longest that anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) replica: Arc<Replica>,
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
        let (followers, shutdown) = (Arc::new(Followers::default()), CancellationToken::new());
        let feed = Feed {
            replica: Arc::clone(&replica),
            followers: Arc::clone(&followers),
            role: Role::Edge,
            places: Arc::new(Semaphore::new(8)),
            shutdown: shutdown.clone(),
        };
        let tls = identity::tonic_server_config(&site.hub_tls).unwrap();
        let server = Server::builder().tls_config(tls).unwrap().add_service(feed.into_service());
        let stop = shutdown.clone().cancelled_owned();
        tokio::spawn(server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stop));
        Self { url, replica, followers, shutdown }
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
