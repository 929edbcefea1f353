//! The system's gRPC API and admin ports, as this client uses them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{CreatePropertyRequest, ListPropertiesRequest};
use proto::report::report_service_client::ReportServiceClient;
use proto::report::{RunReportRequest, RunReportResponse, metric_value};
use service::status::{ServiceReport, Status, merge};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::generate::event_name;
use crate::tally::Key;

/// Bytes of a status at most.
const STATUS_BYTES: usize = 16 << 20;
/// How often the status is asked for while waiting.
const POLL: Duration = Duration::from_millis(250);

/// The ids of a property.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Property {
    /// "p_…"
    pub property_id: String,
    /// "M-…"
    pub measurement_id: String,
}

/// The gRPC API with its key.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    key: MetadataValue<Ascii>,
}

impl Api {
    /// Connects.
    ///
    /// # Errors
    /// When the address is none, nobody answers there, or the key holds what a key never does.
    pub async fn connect(grpc: &str, key: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(grpc.to_owned())
            .with_context(|| format!("--grpc {grpc:?} is not a URL such as http://127.0.0.1:9090"))?
            .timeout(Duration::from_secs(60))
            .connect()
            .await
            .with_context(|| format!("nobody answers at {grpc}; give --grpc"))?;
        let key = format!("Bearer {}", key.trim())
            .parse()
            .map_err(|_| anyhow!("--key holds characters that a key never has; copy it again"))?;
        Ok(Self { channel, key })
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.key.clone());
        request
    }

    /// All properties that the key sees, with their names.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn properties(&self) -> anyhow::Result<Vec<(String, Property)>> {
        let mut client =
            PropertyServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListPropertiesRequest { page_token, ..ListPropertiesRequest::default() };
            let answer =
                client.list_properties(self.request(request)).await.map_err(|status| told(&status))?;
            let answer = answer.into_inner();
            all.extend(answer.properties.into_iter().map(|property| {
                let ids =
                    Property { property_id: property.property_id, measurement_id: property.measurement_id };
                (property.name, ids)
            }));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Makes a property whose days are those of UTC.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn create(&self, name: String) -> anyhow::Result<Property> {
        let request =
            CreatePropertyRequest { name, time_zone: "UTC".into(), ..CreatePropertyRequest::default() };
        let mut client = PropertyServiceClient::new(self.channel.clone());
        let created =
            client.create_property(self.request(request)).await.map_err(|status| told(&status))?.into_inner();
        Ok(Property { property_id: created.property_id, measurement_id: created.measurement_id })
    }

    /// Events of a property by day, event and class, since the day before the run and the age of late hits.
    ///
    /// # Errors
    /// When the API refuses, or answers with what no report holds.
    pub async fn events(&self, number: u32, property: &Property) -> anyhow::Result<HashMap<Key, u64>> {
        let dimensions = ["date", "event_name", "traffic_class"];
        let request = RunReportRequest {
            property_id: property.property_id.clone(),
            from: "5daysAgo".into(),
            to: "today".into(),
            metrics: vec!["events".into()],
            dimensions: dimensions.map(String::from).to_vec(),
            ..RunReportRequest::default()
        };
        let mut client = ReportServiceClient::new(self.channel.clone());
        let report =
            client.run_report(self.request(request)).await.map_err(|status| told(&status))?.into_inner();
        rows(number, report).with_context(|| format!("the report of {} cannot be read", property.property_id))
    }
}

fn rows(property: u32, report: RunReportResponse) -> anyhow::Result<HashMap<Key, u64>> {
    let mut events = HashMap::new();
    for row in report.rows {
        let [date, event, class] = row.dimension_values.as_slice() else {
            bail!("a row has {} dimensions", row.dimension_values.len());
        };
        let Some(metric_value::Value::Integer(count)) =
            row.metric_values.first().and_then(|value| value.value)
        else {
            bail!("a row has no count");
        };
        let date: jiff::civil::Date = date.parse().with_context(|| format!("{date:?} is no date"))?;
        let day = date.since(jiff::civil::date(1970, 1, 1))?.get_days();
        let number = (0_u8..=u8::MAX).take_while(|number| !event_name(*number).is_empty());
        let number = number.into_iter().find(|number| event_name(*number) == event);
        let event = number.ok_or_else(|| anyhow!("it counts the event {event:?}, which was not sent"))?;
        let key = Key { property, day, event, is_bot: class == "bot" };
        *events.entry(key).or_default() += count;
    }
    Ok(events)
}

/// A refused call as a person understands it.
fn told(status: &tonic::Status) -> anyhow::Error {
    anyhow!("the API says: {}", status.message())
}

/// The admin ports.
#[derive(Debug, Clone)]
pub struct Admin {
    urls: Vec<String>,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Admin {
    /// These ports; that of `meridian dev` answers for all its services.
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The status, added up over the ports.
    ///
    /// # Errors
    /// When one of them does not answer, or a service behind it does not.
    pub async fn status(&self) -> anyhow::Result<Status> {
        let mut reports = Vec::new();
        for url in &self.urls {
            let url = format!("{}/status", url.trim_end_matches('/'));
            let answer = self.client.get(url.parse()?).await;
            let answer = answer.map_err(|_| anyhow!("nobody answers at {url}; give --admin"))?;
            let body = Limited::new(answer.into_body(), STATUS_BYTES).collect().await;
            let body = body.map_err(|error| anyhow!("{url}: {error}"))?.to_bytes();
            let report: ServiceReport = serde_json::from_slice(&body)
                .with_context(|| format!("{url} did not answer with a status"))?;
            reports.push(report);
        }
        let status = merge(reports);
        if let Some(silent) = status.services.iter().find(|service| service.unreachable.is_some()) {
            bail!("{} {} does not answer", silent.service, silent.id);
        }
        Ok(status)
    }

    /// Waits until reports show every acknowledged hit.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn settle(&self, timeout: Duration) -> anyhow::Result<Status> {
        let begun = std::time::Instant::now();
        loop {
            let status = self.status().await;
            match status {
                Ok(status) if status.pending == 0 => return Ok(status),
                Ok(status) if begun.elapsed() > timeout => {
                    bail!(
                        "{} acknowledged hits are still pending after {} s",
                        status.pending,
                        timeout.as_secs()
                    )
                }
                Err(error) if begun.elapsed() > timeout => return Err(error),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}
