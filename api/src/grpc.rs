//! The gRPC face: reports, properties, health, reflection.
//!
//! Messages in, messages out; what they mean stands in [`crate::report`] and [`crate::properties`]. Limits of a
//! connection (streams, age, keep-alive, message size) are set here; the limit over all connections is
//! [`crate::admit`], because tonic's own are per connection.

use std::time::Duration;

use anyhow::Context as _;
use configuration::stored::NamedProperty;
use http::HeaderMap;
use property::{FieldChange, NewProperty, OwnedAlias};
use proto::config::property_service_server::{PropertyService, PropertyServiceServer};
use proto::config::{
    AddAliasRequest, AddAliasResponse, Alias, CreatePropertyRequest, CreatePropertyResponse, GetRulesRequest,
    GetRulesResponse, ListAliasesRequest, ListAliasesResponse, ListPropertiesRequest, ListPropertiesResponse,
    Property, RemoveAliasRequest, RemoveAliasResponse, RuleChange, SetRulesRequest, SetRulesResponse,
};
use proto::report::metric_value::Value as ProtoValue;
use proto::report::report_service_server::{ReportService, ReportServiceServer};
use proto::report::{MetricValue, Row, RunReportRequest, RunReportResponse};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::answer::{Report, Value};
use crate::config::{Config, LimitsConfig, ServerTls};
use crate::properties::PropertyCalls;
use crate::report::Reports;
use crate::rules::ShownRules;

/// How long calls in work may go on after a connection has reached its age.
const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(60);

/// Most bytes of headers.
const HEADERS_MAX_BYTES: u32 = 16 * 1024;

/// A server that is ready to listen.
pub struct Grpc {
    router: Router,
}

impl Grpc {
    /// Puts the services behind the configured limits.
    pub async fn new(
        config: &Config,
        reports: Reports,
        property: PropertyServiceServer<PropertyCalls>,
    ) -> anyhow::Result<Self> {
        let report = ReportServiceServer::new(ReportCalls(reports))
            .max_decoding_message_size(config.limits.max_request_bytes)
            .max_encoding_message_size(config.limits.max_response_bytes);
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ReportServiceServer<ReportCalls>>().await;
        health.set_serving::<PropertyServiceServer<PropertyCalls>>().await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let router = builder(config)?
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .add_service(report)
            .add_service(property);
        Ok(Self { router })
    }

    /// Serves until `shutdown`, then lets calls in work end.
    pub async fn serve(self, incoming: TcpIncoming, shutdown: CancellationToken) -> anyhow::Result<()> {
        Ok(self.router.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await?)
    }
}

/// The property service with the limits of its messages, for gRPC and REST.
pub fn property_service(limits: &LimitsConfig, calls: PropertyCalls) -> PropertyServiceServer<PropertyCalls> {
    PropertyServiceServer::new(calls)
        .max_decoding_message_size(limits.max_request_bytes)
        .max_encoding_message_size(limits.max_response_bytes)
}

fn builder(config: &Config) -> anyhow::Result<Server> {
    let grpc = &config.grpc;
    let server = Server::builder()
        .max_concurrent_streams(grpc.max_concurrent_streams)
        .http2_keepalive_interval(Some(Duration::from_secs(grpc.keep_alive_interval_s)))
        .http2_keepalive_timeout(Some(Duration::from_secs(grpc.keep_alive_timeout_s)))
        .max_connection_age(Duration::from_secs(grpc.max_connection_age_s))
        .max_connection_age_grace(CONNECTION_AGE_GRACE)
        .http2_max_header_list_size(HEADERS_MAX_BYTES)
        // A little more than a request's own time, which answers in words.
        .timeout(Duration::from_millis(config.limits.timeout_ms) + Duration::from_secs(5));
    let Some(ServerTls { cert, key }) = &config.tls else { return Ok(server) };
    let read = |field: &str, path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("cannot read tls.{field} = {path:?}"))
    };
    let identity = Identity::from_pem(read("cert", cert)?, read("key", key)?);
    let tls = ServerTlsConfig::new().identity(identity);
    server
        .tls_config(tls)
        .with_context(|| format!("tls.cert = {cert:?} and tls.key = {key:?} cannot be used together"))
}

/// The report service.
pub struct ReportCalls(Reports);

#[tonic::async_trait]
impl ReportService for ReportCalls {
    async fn run_report(
        &self,
        request: Request<RunReportRequest>,
    ) -> Result<Response<RunReportResponse>, Status> {
        let (headers, patience, request) = open(request);
        let report = self.0.run(&headers, &request, patience).await?;
        Ok(Response::new(response(report)))
    }
}

#[tonic::async_trait]
impl PropertyService for PropertyCalls {
    async fn create_property(
        &self,
        request: Request<CreatePropertyRequest>,
    ) -> Result<Response<CreatePropertyResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let CreatePropertyRequest { name, time_zone, currency, hostnames, data_region } = request;
        let new = NewProperty { name, time_zone, currency, hostnames, data_region };
        let keys = self.create(&headers, new).await?;
        Ok(Response::new(CreatePropertyResponse {
            property_id: keys.property_id,
            measurement_id: keys.measurement_id,
            api_secret: keys.api_secret,
            report_key: keys.report_key,
        }))
    }

    async fn list_properties(
        &self,
        request: Request<ListPropertiesRequest>,
    ) -> Result<Response<ListPropertiesResponse>, Status> {
        let (headers, _patience, _nothing) = open(request);
        let properties = self.list(&headers).await?;
        let properties = properties.iter().map(shown).collect();
        Ok(Response::new(ListPropertiesResponse { properties }))
    }

    async fn add_alias(
        &self,
        request: Request<AddAliasRequest>,
    ) -> Result<Response<AddAliasResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let added = PropertyCalls::add_alias(self, &headers, owned(request.alias)).await?;
        Ok(Response::new(AddAliasResponse { alias: Some(shown_alias(added)) }))
    }

    async fn remove_alias(
        &self,
        request: Request<RemoveAliasRequest>,
    ) -> Result<Response<RemoveAliasResponse>, Status> {
        let (headers, _patience, request) = open(request);
        PropertyCalls::remove_alias(self, &headers, owned(request.alias)).await?;
        Ok(Response::new(RemoveAliasResponse {}))
    }

    async fn list_aliases(
        &self,
        request: Request<ListAliasesRequest>,
    ) -> Result<Response<ListAliasesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let aliases = PropertyCalls::list_aliases(self, &headers, &request.property_id).await?;
        Ok(Response::new(ListAliasesResponse { aliases: aliases.into_iter().map(shown_alias).collect() }))
    }

    async fn set_rules(
        &self,
        request: Request<SetRulesRequest>,
    ) -> Result<Response<SetRulesResponse>, Status> {
        let (headers, _patience, request) = open(request);
        let SetRulesRequest { property_id, rules, dry_run } = request;
        let set = PropertyCalls::set_rules(self, &headers, &property_id, rules, dry_run).await?;
        let changes = set.changes.into_iter().map(|FieldChange { field, old, new }| RuleChange {
            field,
            old: old.to_string(),
            new: new.to_string(),
        });
        Ok(Response::new(SetRulesResponse { version: set.version, changes: changes.collect() }))
    }

    async fn get_rules(
        &self,
        request: Request<GetRulesRequest>,
    ) -> Result<Response<GetRulesResponse>, Status> {
        let (headers, _patience, GetRulesRequest { property_id, version }) = open(request);
        let ShownRules { version, current_version, text } =
            self.rules(&headers, &property_id, version).await?;
        Ok(Response::new(GetRulesResponse { version, current_version, rules: text }))
    }
}

/// An alias of a request; what is missing is refused by name.
fn owned(alias: Option<Alias>) -> OwnedAlias {
    let Alias { property_id, protocol, id, hostname } = alias.unwrap_or_default();
    OwnedAlias { alias: property::Alias { protocol, id, hostname }, property_id }
}

fn shown_alias(owned: OwnedAlias) -> Alias {
    let property::Alias { protocol, id, hostname } = owned.alias;
    Alias { property_id: owned.property_id, protocol, id, hostname }
}

/// A property without its secrets.
fn shown(named: &NamedProperty) -> Property {
    let NamedProperty { property, name, .. } = named;
    Property {
        property_id: property.property_id.clone(),
        measurement_id: property.measurement_id.clone(),
        name: name.clone(),
        time_zone: property.time_zone().to_owned(),
        currency: property.currency().to_owned(),
        hostnames: property.hostnames.clone(),
        created_at: property.created_at.to_string(),
        data_region: property.data_region.clone(),
    }
}

fn open<T>(request: Request<T>) -> (HeaderMap, Option<Duration>, T) {
    let (metadata, _extensions, message) = request.into_parts();
    let patience = patience(&metadata);
    (metadata.into_headers(), patience, message)
}

/// The caller's deadline: `grpc-timeout: 1500m`, at most eight digits and a unit.
fn patience(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = Some(number).filter(|digits| digits.len() <= 8)?.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn response(report: Report) -> RunReportResponse {
    let values = |values: Vec<Value>| {
        let value = |value| match value {
            Value::Integer(integer) => Some(ProtoValue::Integer(integer)),
            Value::Number(number) => Some(ProtoValue::Number(number)),
            Value::Nothing => None,
        };
        values.into_iter().map(|v| MetricValue { value: value(v) }).collect::<Vec<_>>()
    };
    let rows = report.rows.into_iter();
    RunReportResponse {
        dimensions: report.dimensions.iter().map(|dimension| dimension.name().to_owned()).collect(),
        metrics: report.metrics.iter().map(|metric| metric.name().to_owned()).collect(),
        rows: rows
            .map(|(labels, numbers)| Row { dimension_values: labels, metric_values: values(numbers) })
            .collect(),
        row_count: report.row_count,
        totals: values(report.totals),
        time_zone: report.time_zone,
        data_until: report.data_until,
        elapsed_ms: report.elapsed_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_the_deadline_of_the_call() {
        for (text, expected) in [
            ("1500m", Some(1500)),
            ("2S", Some(2000)),
            ("1M", Some(60_000)),
            ("99999999H", Some(359_999_996_400_000)),
            ("999999999S", None),
            ("S", None),
            ("-1S", None),
            ("1x", None),
            ("", None),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(patience(&metadata), expected.map(Duration::from_millis), "{text}");
        }
    }
}
