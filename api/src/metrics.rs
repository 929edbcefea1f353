//! The metrics of the api; labels are methods and codes, never a property.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use property::Properties;

use crate::refuse::{Code, Refusal};

/// What was called, over gRPC or HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A report.
    RunReport,
    /// A new property.
    CreateProperty,
    /// All properties.
    ListProperties,
    /// A new alias.
    AddAlias,
    /// An alias less.
    RemoveAlias,
    /// All aliases.
    ListAliases,
    /// New rules.
    SetRules,
    /// The rules of a version.
    GetRules,
}

impl EncodeLabelValue for Method {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        match self {
            Self::RunReport => "run_report",
            Self::CreateProperty => "create_property",
            Self::ListProperties => "list_properties",
            Self::AddAlias => "add_alias",
            Self::RemoveAlias => "remove_alias",
            Self::ListAliases => "list_aliases",
            Self::SetRules => "set_rules",
            Self::GetRules => "get_rules",
        }
        .encode(encoder)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Outcome(Option<Code>);

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        self.0.map_or("ok", Code::as_str).encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Method,
    code: Outcome,
}

/// Requests and how they ended.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    requests: Family<RequestLabels, Counter>,
    report_seconds: Histogram,
}

impl RequestMetrics {
    /// Registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            // 1 ms … 33 s
            report_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
        };
        registry.register("api_requests", "Requests by method and outcome", metrics.requests.clone());
        registry.register("api_report_seconds", "Time of answered reports", metrics.report_seconds.clone());
        metrics
    }

    /// Counts one request.
    pub fn request<T>(&self, method: Method, outcome: &Result<T, Refusal>) {
        let code = Outcome(outcome.as_ref().err().map(|refusal| refusal.code));
        self.requests.get_or_create(&RequestLabels { method, code }).inc();
    }

    /// Times one answered report.
    pub fn report(&self, elapsed_ms: u64) {
        self.report_seconds.observe(std::time::Duration::from_millis(elapsed_ms).as_secs_f64());
    }
}

/// What is known of the property files, read when it is asked for.
#[derive(Debug)]
pub struct PropertiesMetrics(Arc<Properties>);

impl PropertiesMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry, properties: Arc<Properties>) {
        registry.register_collector(Box::new(Self(properties)));
    }
}

impl Collector for PropertiesMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        for (name, help, value) in [
            ("api_properties", "Properties in force", stats.properties),
            ("api_property_files_broken", "Property files that cannot be used now", stats.broken_files),
            (
                "api_property_readings_failed",
                "Readings of properties_dir that failed since the start",
                stats.failed_readings,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
