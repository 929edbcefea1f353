//! The metrics of the api; labels are methods and codes, never a property.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::history::History;
use crate::refuse::{Code, Refusal};

/// What was called, over gRPC or HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A report.
    RunReport,
    /// A new property.
    CreateProperty,
    /// Properties.
    ListProperties,
    /// One property.
    GetProperty,
    /// A property as it is to be.
    UpdateProperty,
    /// A new API secret.
    RotateApiSecret,
    /// A new alias.
    AddAlias,
    /// An alias less.
    RemoveAlias,
    /// Aliases.
    ListAliases,
    /// A property less, with all that was counted.
    DeleteProperty,
    /// Visitors that go.
    EraseVisitors,
    /// Erasures.
    ListErasures,
    /// One erasure.
    GetErasure,
    /// What is past its retention goes.
    RunRetention,
    /// A new data stream.
    CreateStream,
    /// Data streams.
    ListStreams,
    /// A data stream as it is to be.
    UpdateStream,
    /// A data stream less.
    DeleteStream,
    /// New rules.
    SetRules,
    /// The rules of a version.
    GetRules,
    /// A new organisation.
    CreateOrganisation,
    /// The first organisation with its owner.
    CreateFirstOwner,
    /// One organisation.
    GetOrganisation,
    /// Organisations.
    ListOrganisations,
    /// An organisation as it is to be.
    UpdateOrganisation,
    /// A new member.
    AddMember,
    /// A member as it is to be.
    UpdateMember,
    /// A member less.
    RemoveMember,
    /// Members.
    ListMembers,
    /// Who changed what.
    ListChanges,
    /// A new key.
    CreateKey,
    /// Keys.
    ListKeys,
    /// A key less.
    RevokeKey,
    /// A key in the place of another.
    RotateKey,
}

impl Method {
    /// The name of the RPC, and the label.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::RunReport => ("RunReport", "run_report"),
            Self::CreateProperty => ("CreateProperty", "create_property"),
            Self::ListProperties => ("ListProperties", "list_properties"),
            Self::GetProperty => ("GetProperty", "get_property"),
            Self::UpdateProperty => ("UpdateProperty", "update_property"),
            Self::RotateApiSecret => ("RotateApiSecret", "rotate_api_secret"),
            Self::AddAlias => ("AddAlias", "add_alias"),
            Self::RemoveAlias => ("RemoveAlias", "remove_alias"),
            Self::ListAliases => ("ListAliases", "list_aliases"),
            Self::DeleteProperty => ("DeleteProperty", "delete_property"),
            Self::EraseVisitors => ("EraseVisitors", "erase_visitors"),
            Self::ListErasures => ("ListErasures", "list_erasures"),
            Self::GetErasure => ("GetErasure", "get_erasure"),
            Self::RunRetention => ("RunRetention", "run_retention"),
            Self::CreateStream => ("CreateStream", "create_stream"),
            Self::ListStreams => ("ListStreams", "list_streams"),
            Self::UpdateStream => ("UpdateStream", "update_stream"),
            Self::DeleteStream => ("DeleteStream", "delete_stream"),
            Self::SetRules => ("SetRules", "set_rules"),
            Self::GetRules => ("GetRules", "get_rules"),
            Self::CreateOrganisation => ("CreateOrganisation", "create_organisation"),
            Self::CreateFirstOwner => ("CreateFirstOwner", "create_first_owner"),
            Self::GetOrganisation => ("GetOrganisation", "get_organisation"),
            Self::ListOrganisations => ("ListOrganisations", "list_organisations"),
            Self::UpdateOrganisation => ("UpdateOrganisation", "update_organisation"),
            Self::AddMember => ("AddMember", "add_member"),
            Self::UpdateMember => ("UpdateMember", "update_member"),
            Self::RemoveMember => ("RemoveMember", "remove_member"),
            Self::ListMembers => ("ListMembers", "list_members"),
            Self::ListChanges => ("ListChanges", "list_changes"),
            Self::CreateKey => ("CreateKey", "create_key"),
            Self::ListKeys => ("ListKeys", "list_keys"),
            Self::RevokeKey => ("RevokeKey", "revoke_key"),
            Self::RotateKey => ("RotateKey", "rotate_key"),
        }
    }

    /// The name of the RPC.
    pub fn rpc(self) -> &'static str {
        self.names().0
    }
}

impl EncodeLabelValue for Method {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        self.names().1.encode(encoder)
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

/// What is known of the configuration, read when it is asked for.
#[derive(Debug)]
pub struct ConfigMetrics(History);

impl ConfigMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry, history: History) {
        registry.register_collector(Box::new(Self(history)));
    }
}

impl Collector for ConfigMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let reach = self.0.followers().reach();
        let followers = u64::try_from(reach.followers).unwrap_or(u64::MAX);
        for (name, help, value) in [
            ("api_config_version", "Version of the configuration in force here", self.0.position().version),
            ("api_config_records", "Records of the configuration", self.0.records()),
            ("api_config_followers", "Hubs that follow the configuration here", followers),
            ("api_config_edges", "Edges that these hubs pass it on to", u64::from(reach.edges)),
            (
                "api_config_lowest_version",
                "Lowest version in force among hubs and edges; 0 without any",
                reach.version.unwrap_or(0),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
