//! Follows the configuration of services upstream: an edge that of its hubs, a hub that of the apis.
//!
//! In: one stream per source. Out: a replica that is as new as the newest of them. All are listened to at once, so that one which is cut off
//! from the rest holds nothing up; what comes a second time is passed over. A version that is refused is told with one ERROR line and
//! counted, its source is left and asked again after a pause, and the version in force stays. Salts come beside the versions and add to
//! those that are held: a source can replace a date's salt, and take none away.

use std::sync::Arc;
use std::time::Duration;

use identity::{Role, TlsFiles};
use proto::config as wire;
use proto::config::config_feed_client::ConfigFeedClient;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use service::SharedClock;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use wire::follow_request::Said;
use wire::follow_response::Sent;
use wire::snapshot_piece::Piece;

use crate::position::Position;
use crate::replica::{ApplyError, Replica, ReplicaError};
use crate::salts::{self, Salts};
use crate::serve::{Followers, Reach};

mod metrics;

pub use metrics::FollowMetrics;

/// Largest message, bytes: a version that one change made of very many records.
pub const MESSAGE_MAX_BYTES: usize = 64 << 20;

/// Pause before the first new attempt.
const RECONNECT_MIN_MS: u64 = 100;

/// Pieces of a snapshot between the stream and the disk.
const PIECES: usize = 4;

/// The `[config]` table of a service that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowConfig {
    /// Where configuration comes from, `https://HOST:PORT` each: `mesh.listen` of the hubs for an edge, that of the apis for a
    /// hub. All are listened to. Empty (default): what is in the data directory stays in force, salts as long as they last.
    pub sources: Vec<String>,
    /// A connection must stand within this time, ms (default 3,000). Later: it is tried again.
    pub connect_timeout_ms: u64,
    /// A source that is silent for this time, ms (default 10,000), is left and tried again; it should be heard each second.
    pub silence_ms: u64,
    /// Longest pause between two attempts, ms (default 2,000).
    pub reconnect_max_ms: u64,
    /// Memory for what is read of the local copy, bytes (default 4 MiB).
    pub cache_bytes: usize,
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            connect_timeout_ms: 3_000,
            silence_ms: 10_000,
            reconnect_max_ms: 2_000,
            cache_bytes: 4 << 20,
        }
    }
}

impl FollowConfig {
    /// Checks the values; the error is a sentence that names field, value and way out.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for source in &self.sources {
            if !source.starts_with("https://") || Endpoint::from_shared(source.clone()).is_err() {
                return Err(format!(
                    "config.sources holds {source:?}, which is no such URL; use https://HOST:PORT"
                ));
            }
        }
        for (field, value) in [
            ("config.connect_timeout_ms", self.connect_timeout_ms),
            ("config.silence_ms", self.silence_ms),
            ("config.reconnect_max_ms", self.reconnect_max_ms),
        ] {
            if value == 0 {
                return Err(format!("{field} is 0; use at least 1, or leave it out for the default"));
            }
        }
        Ok(())
    }
}

/// Whom this service speaks for when it says how far it is.
#[derive(Debug, Clone)]
pub enum Speaker {
    /// An edge: for itself.
    Edge,
    /// A hub: for those that follow it.
    Hub(Arc<Followers>),
}

/// Follows the sources until shutdown.
#[derive(Clone)]
pub struct Follower {
    /// Where and how.
    pub config: FollowConfig,
    /// Certificates.
    pub tls: TlsFiles,
    /// The role of the sources.
    pub role: Role,
    /// What is kept up.
    pub replica: Arc<Replica>,
    /// What is told beside it.
    pub salts: Salts,
    /// Tells which of them have expired.
    pub clock: SharedClock,
    /// For whom.
    pub speaker: Speaker,
    /// What is counted.
    pub metrics: FollowMetrics,
}

/// Why a source was left.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error("{0}")]
    Connect(anyhow::Error),
    #[error("{}", .0.message())]
    Status(#[from] Status),
    #[error("it was silent for {0} ms")]
    Silent(u64),
    #[error("it said something that this build does not know")]
    Unknown,
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Follower {
    /// Follows every source until shutdown.
    ///
    /// # Errors
    /// When the local copy cannot be written any more.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let turn = Arc::new(Mutex::new(()));
        let mut sources = tokio::task::JoinSet::new();
        for source in self.config.sources.clone() {
            let (follower, turn, shutdown) = (self.clone(), Arc::clone(&turn), shutdown.clone());
            sources.spawn(async move { follower.follow(&source, &turn, &shutdown).await });
        }
        while let Some(ended) = sources.join_next().await {
            ended??;
        }
        shutdown.cancelled().await;
        Ok(())
    }

    async fn follow(
        &self,
        source: &str,
        turn: &Arc<Mutex<()>>,
        shutdown: &CancellationToken,
    ) -> Result<(), ReplicaError> {
        let mut pause_ms = RECONNECT_MIN_MS;
        loop {
            let mut was_heard = false;
            let left = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                left = self.listen(source, turn, &mut was_heard) => left,
            };
            if was_heard {
                pause_ms = RECONNECT_MIN_MS;
            }
            match left {
                Left::Apply(ApplyError::Replica(error)) => return Err(error),
                Left::Apply(ApplyError::Refused(refused)) => {
                    self.metrics.refused(refused.reason());
                    tracing::error!(
                        source,
                        reason = refused.reason(),
                        "configuration is refused: {refused}; the version in force stays"
                    );
                    pause_ms = self.config.reconnect_max_ms;
                }
                other => tracing::debug!(source, error = %other, "configuration is not followed there"),
            }
            // Jitter, so that a hub that comes back is not asked by all edges at once.
            let jittered = rand::rng().random_range(pause_ms / 2..=pause_ms);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(jittered)) => {}
            }
            pause_ms = (pause_ms * 2).min(self.config.reconnect_max_ms.max(RECONNECT_MIN_MS));
        }
    }

    /// One stream, from connecting to its end.
    async fn listen(&self, source: &str, turn: &Arc<Mutex<()>>, was_heard: &mut bool) -> Left {
        let known = self.replica.position();
        let (say, to_source) = mpsc::channel(1);
        let begin = wire::FollowRequest { said: Some(Said::Begin(known.into())) };
        let requests = tokio_stream::once(begin).chain(ReceiverStream::new(to_source));
        let connected = async {
            let mut client = ConfigFeedClient::new(self.connect(source).await.map_err(Left::Connect)?)
                .max_decoding_message_size(MESSAGE_MAX_BYTES);
            Ok::<_, Left>(client.follow(requests).await?.into_inner())
        };
        let mut stream = match connected.await {
            Ok(stream) => stream,
            Err(left) => return left,
        };
        tokio::select! {
            left = self.hear(source, &mut stream, (known, turn), was_heard) => left,
            () = self.speak(&say) => Left::Silent(0),
        }
    }

    async fn connect(&self, source: &str) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(source.to_owned())?
            .connect_timeout(Duration::from_millis(self.config.connect_timeout_ms))
            .tcp_nodelay(true)
            .tls_config(identity::tonic_client_config(&self.tls, &self.role.dns_name())?)?;
        Ok(endpoint.connect().await?)
    }

    /// Says what is in force whenever that has moved.
    async fn speak(&self, say: &mpsc::Sender<wire::FollowRequest>) {
        let mut moved = self.replica.watch();
        let mut reach = match &self.speaker {
            Speaker::Edge => watch::Sender::new(Reach::default()).subscribe(),
            Speaker::Hub(followers) => followers.watch(),
        };
        loop {
            let version = moved.borrow_and_update().version;
            let below = *reach.borrow_and_update();
            let applied = match self.speaker {
                Speaker::Edge => wire::Applied { version, edges: 1, edges_version: version },
                Speaker::Hub(_) => wire::Applied {
                    version,
                    edges: below.edges,
                    edges_version: below.version.unwrap_or(version),
                },
            };
            let said = wire::FollowRequest { said: Some(Said::Applied(applied)) };
            if say.send(said).await.is_err() {
                return std::future::pending().await;
            }
            tokio::select! {
                moved = moved.changed() => if moved.is_err() { return },
                // The edge's own end is gone at once: nobody is below it.
                Ok(()) = reach.changed() => {}
            }
        }
    }

    /// Puts in force what comes.
    async fn hear(
        &self,
        source: &str,
        stream: &mut Streaming<wire::FollowResponse>,
        (known, turn): (Position, &Arc<Mutex<()>>),
        was_heard: &mut bool,
    ) -> Left {
        loop {
            let heard = match self.next(stream).await {
                Ok(Some(heard)) => heard,
                Ok(None) => return Status::unavailable("it ended the stream").into(),
                Err(left) => return left,
            };
            *was_heard = true;
            let applied = match heard {
                Sent::Heartbeat(wire::Heartbeat { version }) => {
                    self.metrics.heard(version);
                    Ok(())
                }
                Sent::Salts(told) => {
                    self.take_salts(source, &told);
                    Ok(())
                }
                Sent::Delta(delta) => self.apply(delta, turn).await,
                Sent::Snapshot(wire::SnapshotPiece { piece: Some(Piece::Begin(begin)) }) => {
                    let turn = Arc::clone(turn).lock_owned().await;
                    self.replace(begin, known, stream, turn).await
                }
                Sent::Snapshot(_) => Err(Left::Unknown),
            };
            if let Err(left) = applied {
                return left;
            }
        }
    }

    fn take_salts(&self, source: &str, told: &wire::Salts) {
        let (told, wrong) = salts::of_wire(told);
        if wrong > 0 {
            tracing::error!(
                source,
                wrong,
                "what is told as salts holds some that are none; they are passed over"
            );
        }
        for date in self.salts.put(&told, self.clock.now_ms()) {
            tracing::warn!(source, %date, "another salt is told for a date than was held; the told one counts");
        }
    }

    async fn next(&self, stream: &mut Streaming<wire::FollowResponse>) -> Result<Option<Sent>, Left> {
        let silence = Duration::from_millis(self.config.silence_ms);
        let message = tokio::time::timeout(silence, stream.message())
            .await
            .map_err(|_| Left::Silent(self.config.silence_ms))??;
        match message {
            None => Ok(None),
            Some(response) => response.sent.map(Some).ok_or(Left::Unknown),
        }
    }

    async fn apply(&self, delta: wire::Delta, turn: &Arc<Mutex<()>>) -> Result<(), Left> {
        let turn = Arc::clone(turn).lock_owned().await;
        let replica = Arc::clone(&self.replica);
        let version = delta.position.as_ref().map_or(0, |position| position.version);
        let applied = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            replica.apply(std::slice::from_ref(&delta))
        });
        let applied = applied.await.map_err(|_| Status::internal("the disk"))??;
        self.metrics.heard(version);
        self.metrics.applied("delta", applied);
        Ok(())
    }

    /// Takes a whole version in; nobody else changes the replica meanwhile.
    async fn replace(
        &self,
        begin: wire::SnapshotBegin,
        known: Position,
        stream: &mut Streaming<wire::FollowResponse>,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(), Left> {
        let (pieces, mut to_disk) = mpsc::channel::<Piece>(PIECES);
        let replica = Arc::clone(&self.replica);
        let disk = tokio::task::spawn_blocking(move || -> Result<bool, ApplyError> {
            let _turn = turn;
            let mut replacing = replica.begin(&begin, known)?;
            while let Some(piece) = to_disk.blocking_recv() {
                match (piece, &mut replacing) {
                    (Piece::Part(part), Some(replacing)) => replacing.part(&part)?,
                    (Piece::End(_), _) => {
                        let is_new = replacing.is_some();
                        replacing.map_or(Ok(()), crate::replica::Replacing::end)?;
                        return Ok(is_new);
                    }
                    (Piece::Begin(_) | Piece::Part(_), _) => {}
                }
            }
            Ok(false)
        });
        let read = async {
            loop {
                match self.next(stream).await? {
                    Some(Sent::Snapshot(wire::SnapshotPiece { piece: Some(piece) })) => {
                        let is_last = matches!(piece, Piece::End(_));
                        if pieces.send(piece).await.is_err() || is_last {
                            return Ok::<(), Left>(());
                        }
                    }
                    Some(_) => return Err(Left::Unknown),
                    None => return Err(Status::unavailable("it ended the stream").into()),
                }
            }
        };
        let read = read.await;
        drop(pieces);
        let applied = disk.await.map_err(|_| Status::internal("the disk"))??;
        read?;
        self.metrics.applied("snapshot", u64::from(applied));
        Ok(())
    }
}
