//! `/status` of a hub: its queues against their limits, the age of the oldest work, the size of the store.

use std::sync::Arc;

use batch::Lane;
use batch::sealed::lane_name;
use configuration::Replica;
use service::SharedClock;
use service::admin::{StatusFn, status_fn};
use service::status::{QueueStatus, ServiceReport, ServiceStatus};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::sizes::Sizes;

/// The function behind `/status`.
pub(crate) fn report(
    hub: String,
    config: &Config,
    (metrics, sizes, configuration): (Arc<Metrics>, Arc<Sizes>, Arc<Replica>),
    clock: SharedClock,
) -> StatusFn {
    let receive = &config.receive;
    // What the streams of all connections may hold.
    let limit_batches = u64::try_from(receive.max_connections.saturating_mul(receive.lane_batches));
    let limits = (limit_batches.unwrap_or(u64::MAX), u64::from(receive.total_lane_bytes));
    status_fn(move || {
        let mut status = ServiceStatus::new("hub", hub.clone());
        status.config_version = Some(configuration.position().version);
        for lane in [Lane::Rollup, Lane::Raw] {
            let (name, waiting) = (lane_name(lane), metrics.waiting(lane));
            let mut queue = |length, limit, unit: &str| {
                let queue = QueueStatus { length, limit, unit: unit.to_owned() };
                status.queues.insert(format!("{name}_{unit}"), queue);
            };
            queue(waiting.batches(), limits.0, "batches");
            queue(waiting.bytes(), limits.1, "bytes");
            let age_ms = waiting.age_ms(clock.monotonic_ms());
            status.lag_seconds =
                status.lag_seconds.max(std::time::Duration::from_millis(age_ms).as_secs_f64());
            status.stores.insert(format!("segments_{name}"), sizes.bytes(lane));
        }
        ServiceReport { services: vec![status], ..ServiceReport::default() }
    })
}
