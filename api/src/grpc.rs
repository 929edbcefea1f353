//! The gRPC face: reports, organisations, keys, properties, health, reflection.
//!
//! Messages in, messages out; what they mean stands in [`crate::report`] and [`crate::calls`]. Limits of a
//! connection (streams, age, keep-alive, message size) are set here; the limit over all connections is
//! [`crate::admit`], because tonic's own are per connection.

use std::time::Duration;

use anyhow::Context as _;
use http::HeaderMap;
use proto::config::erasure_service_server::ErasureServiceServer;
use proto::config::key_service_server::KeyServiceServer;
use proto::config::organisation_service_server::OrganisationServiceServer;
use proto::config::property_service_server::PropertyServiceServer;
use proto::config::stream_service_server::StreamServiceServer;
use proto::report::metric_value::Value as ProtoValue;
use proto::report::report_service_server::{ReportService, ReportServiceServer};
use proto::report::{MetricValue, Note, Row, RunReportRequest, RunReportResponse};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::answer::{Report, Value};
use crate::calls::ConfigCalls;
use crate::config::{Config, LimitsConfig, ServerTls};
use crate::report::Reports;
use crate::rest::Services;

mod mask;
mod property;
mod stream;
mod erasure;
mod organisation;
mod key;

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
    pub async fn new(config: &Config, reports: Reports, configuring: Configuring) -> anyhow::Result<Self> {
        let report = ReportServiceServer::new(ReportCalls(reports))
            .max_decoding_message_size(config.limits.max_request_bytes)
            .max_encoding_message_size(config.limits.max_response_bytes);
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ReportServiceServer<ReportCalls>>().await;
        let Configuring { property, stream, erasure, organisation, key } = configuring;
        health.set_serving::<PropertyServiceServer<ConfigCalls>>().await;
        health.set_serving::<StreamServiceServer<ConfigCalls>>().await;
        health.set_serving::<ErasureServiceServer<ConfigCalls>>().await;
        health.set_serving::<OrganisationServiceServer<ConfigCalls>>().await;
        health.set_serving::<KeyServiceServer<ConfigCalls>>().await;
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
            .add_service(property)
            .add_service(stream)
            .add_service(erasure)
            .add_service(organisation)
            .add_service(key);
        Ok(Self { router })
    }

    /// Serves until `shutdown`, then lets calls in work end.
    pub async fn serve(self, incoming: TcpIncoming, shutdown: CancellationToken) -> anyhow::Result<()> {
        Ok(self.router.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned()).await?)
    }
}

/// The services of the configuration with the limits of their messages, for gRPC and REST.
#[derive(Clone)]
pub struct Configuring {
    property: PropertyServiceServer<ConfigCalls>,
    stream: StreamServiceServer<ConfigCalls>,
    erasure: ErasureServiceServer<ConfigCalls>,
    organisation: OrganisationServiceServer<ConfigCalls>,
    key: KeyServiceServer<ConfigCalls>,
}

impl Configuring {
    /// One implementation behind all of them.
    pub fn new(limits: &LimitsConfig, calls: ConfigCalls) -> Self {
        let (request, response) = (limits.max_request_bytes, limits.max_response_bytes);
        Self {
            property: PropertyServiceServer::new(calls.clone())
                .max_decoding_message_size(request)
                .max_encoding_message_size(response),
            stream: StreamServiceServer::new(calls.clone())
                .max_decoding_message_size(request)
                .max_encoding_message_size(response),
            erasure: ErasureServiceServer::new(calls.clone())
                .max_decoding_message_size(request)
                .max_encoding_message_size(response),
            organisation: OrganisationServiceServer::new(calls.clone())
                .max_decoding_message_size(request)
                .max_encoding_message_size(response),
            key: KeyServiceServer::new(calls)
                .max_decoding_message_size(request)
                .max_encoding_message_size(response),
        }
    }

    /// Puts them behind REST paths.
    pub fn behind_rest(&self, services: Services) -> Services {
        services
            .add_service(self.property.clone())
            .add_service(self.stream.clone())
            .add_service(self.erasure.clone())
            .add_service(self.organisation.clone())
            .add_service(self.key.clone())
    }
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

/// Headers, the caller's deadline, the message.
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
        notes: report.notes.into_iter().map(note).collect(),
    }
}

fn note(note: crate::seams::Note) -> Note {
    let crate::seams::Note { code, message, at, before, after } = note;
    Note { code: code.to_owned(), message, at, before, after }
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
