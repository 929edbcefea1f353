//! Receive: edges over QUIC, each batch counted as it enters the queue of its lane.

use std::sync::Arc;

use batch::{BatchHeader, Lane};
use tokio_util::sync::CancellationToken;
use transport::{LaneQueues, Observer, Refusal, Server};

use crate::metrics::Metrics;

/// Serves until shutdown, and until everything handed on is acknowledged or given up.
pub(crate) async fn run(
    server: Server,
    queues: LaneQueues,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    server.run(queues, Arc::new(Counting(metrics)), shutdown).await;
    Ok(())
}

struct Counting(Arc<Metrics>);

impl Observer for Counting {
    fn connected(&self) {
        self.0.receive.connections.inc();
    }

    fn disconnected(&self) {
        self.0.receive.connections.dec();
    }

    fn received(&self, header: &BatchHeader) {
        self.0.entered(header);
    }

    fn refused(&self, lane: Lane, refusal: &Refusal) {
        self.0.refused(lane, &refusal.code);
    }
}
