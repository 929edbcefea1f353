//! What is counted of the configuration that is followed.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::refusal::Refused;
use crate::replica::Replica;

/// Why a version was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// How a version came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Form {
    form: &'static str,
}

/// `{service}_config_…`.
#[derive(Debug, Clone)]
pub struct FollowMetrics {
    refused: Family<Reason, Counter>,
    applied: Family<Form, Counter>,
    heard_version: Gauge,
}

impl FollowMetrics {
    /// Registers the metrics of `service`: `edge`, `hub`.
    pub fn new(registry: &mut Registry, service: &'static str, replica: &Arc<Replica>) -> Self {
        let metrics =
            Self { refused: Family::default(), applied: Family::default(), heard_version: Gauge::default() };
        for reason in Refused::REASONS {
            drop(metrics.refused.get_or_create(&Reason { reason }));
        }
        registry.register(
            format!("{service}_config_refused"),
            "Versions of the configuration that were offered and not put in force, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            format!("{service}_config_applied"),
            "Versions of the configuration put in force, by the form in which they came",
            metrics.applied.clone(),
        );
        registry.register(
            format!("{service}_config_heard_version"),
            "Newest version of the configuration that a source has told of",
            metrics.heard_version.clone(),
        );
        registry.register_collector(Box::new(InForce { service, replica: Arc::clone(replica) }));
        metrics
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn applied(&self, form: &'static str, versions: u64) {
        self.applied.get_or_create(&Form { form }).inc_by(versions);
    }

    pub(super) fn heard(&self, version: u64) {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        if version > self.heard_version.get() {
            self.heard_version.set(version);
        }
    }
}

/// What is in force, read when it is asked for.
#[derive(Debug)]
struct InForce {
    service: &'static str,
    replica: Arc<Replica>,
}

impl Collector for InForce {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            ("version", "Version of the configuration in force", self.replica.position().version),
            ("records", "Records of the configuration", self.replica.len()),
        ] {
            let name = format!("{}_config_{name}", self.service);
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
