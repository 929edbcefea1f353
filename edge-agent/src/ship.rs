//! The way to a hub: batches out, acknowledgements in, over one QUIC connection with a lane each for rollup and raw.
//!
//! In: the outbox, from its oldest batch on. Out: acks for the outbox to delete. After any error, silence of a hub among
//! them, everything that is not acknowledged is sent again, to the next hub that answers, after a pause that doubles; a
//! hub may hold a batch twice.
//! In flight are at most `window_bytes` per lane. Ends when processing has ended and all batches are acknowledged, or
//! when the drain time is over.

pub(crate) mod backoff;
pub(crate) mod lane;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use batch::Lane;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use transport::{Connection, Endpoint, LaneId, TransportConfig, TransportError};

use self::backoff::Backoff;
use self::lane::{LaneError, LaneShip};
use crate::disk::DataDir;
use crate::metrics::pipeline::ShipMetrics;

/// How long hubs are given to hear that this edge leaves.
const GOODBYE: Duration = Duration::from_secs(1);

/// Configuration of the way to the hubs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Hubs as `HOST:PORT`; the first that answers is used until it fails, then the next one after it, in a circle.
    pub hubs: Vec<String>,
    /// Local UDP address; `[::]:0` for hubs with IPv6 addresses.
    pub bind: SocketAddr,
    /// Bytes of a lane that are sent and not acknowledged; at the limit no further batch is sent. One batch may go
    /// past it.
    pub window_bytes: u64,
    /// How long the oldest batch on its way may be without an acknowledgement, milliseconds; then the hub has failed.
    /// Longer than the largest batch takes on the line, and than the hub takes to store a segment. Default 30,000.
    pub ack_timeout_ms: u64,
    /// First pause after a failure, milliseconds; each further one is twice as long, with a random part.
    pub backoff_min_ms: u64,
    /// Longest pause, milliseconds.
    pub backoff_max_ms: u64,
    /// Settings of the connection.
    pub quic: TransportConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hubs: vec!["127.0.0.1:4433".into()],
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            window_bytes: 32 << 20,
            ack_timeout_ms: 30_000,
            backoff_min_ms: 100,
            backoff_max_ms: 10_000,
            quic: TransportConfig::default(),
        }
    }
}

/// What the task works with.
pub(crate) struct Parts {
    /// Configuration.
    pub(crate) config: Config,
    /// The socket.
    pub(crate) endpoint: Endpoint,
    /// The outbox.
    pub(crate) disk: Arc<DataDir>,
    /// Changes after each flush; closed when processing has ended.
    pub(crate) flushed: watch::Receiver<u64>,
    /// Where acks go.
    pub(crate) acks: mpsc::Sender<(Lane, u64)>,
    /// Cancelled when the drain time is over.
    pub(crate) give_up: CancellationToken,
    /// Metrics.
    pub(crate) metrics: ShipMetrics,
    /// Told where batches go.
    pub(crate) hub: CurrentHub,
}

/// The hub that batches go to now; shared with the status.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentHub(Arc<Mutex<Option<String>>>);

impl CurrentHub {
    /// Its id; `None` while none is connected.
    pub(crate) fn id(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, id: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id.map(str::to_owned);
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    /// No hub could be reached; the last one's error.
    #[error("no hub can be reached; {hub}: {source}")]
    Unreachable {
        /// The hub tried last.
        hub: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection or a lane failed, or a batch was refused.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

/// Ships until everything is acknowledged after the end of processing, or the drain time is over.
pub(crate) async fn run(parts: Parts) -> anyhow::Result<()> {
    let mut backoff = Backoff::new(parts.config.backoff_min_ms, parts.config.backoff_max_ms);
    let mut first_hub = 0;
    loop {
        let outcome = tokio::select! {
            () = parts.give_up.cancelled() => break,
            outcome = Box::pin(session(&parts, &mut first_hub, &mut backoff)) => outcome,
        };
        parts.metrics.in_flight_batches.set(0);
        parts.hub.set(None);
        match outcome {
            Ok(()) => break,
            Err(SessionError::Lane(LaneError::Outbox(error))) => return Err(error),
            Err(error) => complain(&parts.metrics, &error),
        }
        let pause = backoff.next(rand::random::<f64>());
        tokio::select! {
            () = parts.give_up.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    let _hubs_will_notice = tokio::time::timeout(GOODBYE, parts.endpoint.close()).await;
    Ok(())
}

/// One connection from dialling to its end; `Ok` when there is nothing left to ship for good. Dials from `first_hub` on,
/// and leaves there the hub to begin with when this connection has failed.
async fn session(parts: &Parts, first_hub: &mut usize, backoff: &mut Backoff) -> Result<(), SessionError> {
    let (hub, connection) = connect(parts, *first_hub).await?;
    *first_hub = (hub + 1) % parts.config.hubs.len().max(1);
    tracing::info!(hub = connection.hub().id(), "connected to a hub");
    let rollup = open(parts, &connection, Lane::Rollup);
    let raw = open(parts, &connection, Lane::Raw);
    let (mut rollup, mut raw) = tokio::try_join!(rollup, raw)?;
    backoff.reset();
    parts.hub.set(Some(connection.hub().id()));
    tokio::try_join!(rollup.run(), raw.run())?;
    connection.close();
    Ok(())
}

/// The first hub that answers, from the one with the index `first` on in a circle, and its index.
async fn connect(parts: &Parts, first: usize) -> Result<(usize, Connection), SessionError> {
    let mut last = None;
    let hubs = &parts.config.hubs;
    for (index, hub) in hubs.iter().enumerate().cycle().skip(first).take(hubs.len()) {
        match dial(&parts.endpoint, hub).await {
            Ok(connection) => return Ok((index, connection)),
            Err(source) => last = Some(SessionError::Unreachable { hub: hub.clone(), source }),
        }
    }
    Err(last
        .unwrap_or_else(|| SessionError::Unreachable { hub: "ship.hubs".into(), source: "is empty".into() }))
}

async fn dial(
    endpoint: &Endpoint,
    hub: &str,
) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let mut last: Box<dyn std::error::Error + Send + Sync> = "the name has no address".into();
    for address in tokio::net::lookup_host(hub).await? {
        match endpoint.connect(address).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = Box::new(error),
        }
    }
    Err(last)
}

async fn open(parts: &Parts, connection: &Connection, lane: Lane) -> Result<LaneShip, LaneError> {
    let owner = &parts.disk.owner;
    let id = LaneId { edge: owner.edge.clone(), epoch: owner.epoch, lane };
    let (sender, receiver) = connection.open_lane(&id).await?;
    Ok(LaneShip::new(parts, lane, sender, receiver))
}

fn complain(metrics: &ShipMetrics, error: &SessionError) {
    metrics.failures.inc();
    match error {
        SessionError::Lane(LaneError::Transport(TransportError::Refused(refusal)))
            if refusal.code != transport::RefusalCode::ShuttingDown =>
        {
            metrics.refused.inc();
            tracing::error!(code = %refusal.code, message = refusal.message, "a hub refuses; it will be tried again");
        }
        SessionError::Lane(LaneError::Transport(error)) if !error.is_retryable() => {
            tracing::error!(%error, "shipping needs help; it will be tried again");
        }
        other => tracing::warn!(error = %other, "shipping is interrupted; it will be tried again"),
    }
}
