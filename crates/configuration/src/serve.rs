//! Serves a replica to those who follow it.
//!
//! In: followers' positions. Out: to each what it lacks, then every version as it comes into force here, and a heartbeat each second. What
//! followers report as applied is added up in [`Followers`]. The salts go before all else, and again when they have changed. A follower that reads slowly is sent less often: a version waits in the replica,
//! not in a queue.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use identity::{Role, tonic_peer_identity};
use proto::config as wire;
use proto::config::config_feed_server::{ConfigFeed, ConfigFeedServer};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use wire::follow_request::Said;
use wire::follow_response::Sent;

use crate::position::Position;
use crate::replica::{Replica, ReplicaError};
use crate::salts::{self, Salts};
use crate::snapshot;

/// How often a follower hears something.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a new follower may take to say what it has.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

/// Messages on the way to a follower.
const QUEUE: usize = 4;

/// Where those that follow are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Connected followers.
    pub followers: usize,
    /// Edges they speak for.
    pub edges: u32,
    /// The lowest version in force among followers and their edges; `None` without followers.
    pub version: Option<u64>,
}

/// What followers have put in force.
#[derive(Debug)]
pub struct Followers {
    applied: Mutex<Connected>,
    reach: watch::Sender<Reach>,
}

#[derive(Debug, Default)]
struct Connected {
    next: u64,
    applied: BTreeMap<u64, wire::Applied>,
}

impl Default for Followers {
    fn default() -> Self {
        Self { applied: Mutex::default(), reach: watch::Sender::new(Reach::default()) }
    }
}

impl Followers {
    /// Where they are.
    pub fn reach(&self) -> Reach {
        *self.reach.borrow()
    }

    /// Told whenever that changes.
    pub fn watch(&self) -> watch::Receiver<Reach> {
        self.reach.subscribe()
    }

    fn enter(self: &Arc<Self>, version: u64) -> Place {
        let mut connected = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let place = connected.next;
        connected.next += 1;
        connected.applied.insert(place, wire::Applied { version, edges: 0, edges_version: version });
        self.tell(&connected);
        Place { followers: Arc::clone(self), place }
    }

    fn tell(&self, connected: &Connected) {
        let applied = || connected.applied.values();
        let reach = Reach {
            followers: connected.applied.len(),
            edges: applied().map(|applied| applied.edges).fold(0, u32::saturating_add),
            version: applied().map(|applied| applied.version.min(applied.edges_version)).min(),
        };
        self.reach.send_if_modified(|before| std::mem::replace(before, reach) != reach);
    }
}

/// A follower's place among the others, as long as it is connected.
struct Place {
    followers: Arc<Followers>,
    place: u64,
}

impl Place {
    fn set(&self, applied: wire::Applied) {
        let mut connected = self.followers.applied.lock().unwrap_or_else(PoisonError::into_inner);
        connected.applied.insert(self.place, applied);
        self.followers.tell(&connected);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connected = self.followers.applied.lock().unwrap_or_else(PoisonError::into_inner);
        connected.applied.remove(&self.place);
        self.followers.tell(&connected);
    }
}

/// The service.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What is served.
    pub replica: Arc<Replica>,
    /// What is served beside it.
    pub salts: Salts,
    /// Who follows.
    pub followers: Arc<Followers>,
    /// The role that may.
    pub role: Role,
    /// How many at once; a further one is told RESOURCE_EXHAUSTED and asks elsewhere.
    pub places: Arc<Semaphore>,
    /// Ends every stream.
    pub shutdown: CancellationToken,
}

impl Feed {
    /// As a service of a gRPC server.
    pub fn into_service(self) -> ConfigFeedServer<Self> {
        ConfigFeedServer::new(self)
    }
}

#[tonic::async_trait]
impl ConfigFeed for Feed {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<wire::FollowResponse, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<Streaming<wire::FollowRequest>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let peer = tonic_peer_identity(&request)
            .and_then(|peer| peer.expect_role(self.role))
            .map_err(|error| Status::permission_denied(error.to_string()))?;
        let permit = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("as many follow the configuration here as may"))?;
        let mut said = request.into_inner();
        let (sent, to_follower) = mpsc::channel(QUEUE);
        let feed = self.clone();
        let follower = peer.id().to_owned();
        tokio::spawn(async move {
            let _permit = permit;
            let ended = tokio::select! {
                () = feed.shutdown.cancelled() => Err(Status::unavailable("this service stops; ask another")),
                ended = feed.serve(&mut said, &sent) => ended,
            };
            if let Err(status) = ended {
                tracing::debug!(follower, %status, "follows the configuration no more");
                let _gone = sent.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(to_follower))))
    }
}

/// To one follower.
type ToFollower = mpsc::Sender<Result<wire::FollowResponse, Status>>;

impl Feed {
    async fn serve(
        &self,
        said: &mut Streaming<wire::FollowRequest>,
        sent: &ToFollower,
    ) -> Result<(), Status> {
        let first = tokio::time::timeout(BEGIN_WITHIN, said.message())
            .await
            .map_err(|_| Status::deadline_exceeded("a follower begins with its position"))??;
        let Some(Said::Begin(begin)) = first.and_then(|request| request.said) else {
            return Err(Status::invalid_argument("a follower begins with its position"));
        };
        let at = Position::try_from(&begin).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let place = self.followers.enter(at.version);
        let hear = async {
            while let Some(request) = said.message().await? {
                if let Some(Said::Applied(applied)) = request.said {
                    place.set(applied);
                }
            }
            Ok(())
        };
        tokio::select! {
            heard = hear => heard,
            told = self.tell(at, sent) => told,
        }
    }

    /// Sends what a follower lacks, for ever.
    async fn tell(&self, mut at: Position, sent: &ToFollower) -> Result<(), Status> {
        let (mut moved, mut salts) = (self.replica.watch(), self.salts.watch());
        salts.mark_changed();
        loop {
            if salts.has_changed().unwrap_or(false) {
                let told = salts::to_wire(&salts.borrow_and_update());
                send(sent, Sent::Salts(told)).await?;
            }
            let here = *moved.borrow_and_update();
            if here.is_nothing() || (at.history == here.history && at.order() >= here.order()) {
                let heartbeat = wire::Heartbeat { version: here.version };
                send(sent, Sent::Heartbeat(heartbeat)).await?;
                tokio::select! {
                    _moved = moved.changed() => {}
                    _other = salts.changed() => salts.mark_changed(),
                    () = tokio::time::sleep(HEARTBEAT) => {}
                }
                continue;
            }
            at = self.advance(at, sent).await?;
        }
    }

    /// Sends some deltas, or a whole version; gives where the follower is then.
    async fn advance(&self, at: Position, sent: &ToFollower) -> Result<Position, Status> {
        let replica = Arc::clone(&self.replica);
        let deltas = blocking(move || {
            let reader = replica.read()?;
            let here = reader.position()?;
            if at.is_nothing() || (here.history, here.generation) != (at.history, at.generation) {
                return Ok(None);
            }
            reader.deltas_after(at.version)
        })
        .await?;
        let Some(deltas) = deltas else { return self.send_snapshot(sent).await };
        let mut position = at;
        for delta in deltas {
            position = delta
                .position
                .as_ref()
                .and_then(|position| Position::try_from(position).ok())
                .ok_or_else(|| Status::data_loss("a delta that is kept here has no position"))?;
            send(sent, Sent::Delta(delta)).await?;
        }
        Ok(position)
    }

    async fn send_snapshot(&self, sent: &ToFollower) -> Result<Position, Status> {
        let (replica, sent) = (Arc::clone(&self.replica), sent.clone());
        blocking(move || {
            let reader = replica.read()?;
            snapshot::pieces(&reader, &mut |piece| {
                let piece = wire::SnapshotPiece { piece: Some(piece) };
                let response = wire::FollowResponse { sent: Some(Sent::Snapshot(piece)) };
                sent.blocking_send(Ok(response)).is_ok()
            })?;
            reader.position()
        })
        .await
    }
}

async fn send(to: &ToFollower, sent: Sent) -> Result<(), Status> {
    let response = wire::FollowResponse { sent: Some(sent) };
    to.send(Ok(response)).await.map_err(|_| Status::cancelled("the follower went away"))
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReplicaError> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the configuration cannot be passed on");
            Err(Status::internal("the configuration here cannot be read"))
        }
        Err(_) => Err(Status::internal("reading the configuration here was cut off")),
    }
}
