//! Freshness: the time from the acknowledgement of a hit to the first report that contains it.
//!
//! In: a running system and the number of hits. Each hit views a page of its own, so that a report by page shows which
//! hits it contains. Hits leave at a fixed pace (open loop), reports are asked for all the time. Out: percentiles.
//! A report asked for before the hit was acknowledged does not count, so a time is never too small by more than the
//! time between two reports, and too large by at most that.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use clap::Args;
use comfy_table::Table;
use hdrhistogram::Histogram;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proto::report::RunReportRequest;
use proto::report::report_service_client::ReportServiceClient;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

/// Arguments of `freshness`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address that hits are sent to
    #[arg(long, env = "MERIDIAN_COLLECT", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    collect: String,
    /// Address of the gRPC API
    #[arg(long, env = "MERIDIAN_GRPC", value_name = "URL", default_value = "http://127.0.0.1:9090")]
    grpc: String,
    /// File with the key that may read the property's reports
    #[arg(long, value_name = "FILE", default_value = ".meridian/admin.key")]
    key_file: PathBuf,
    /// Property id, "p_…"
    #[arg(long, value_name = "ID")]
    property: String,
    /// The property's measurement id, "M-…"
    #[arg(long, value_name = "ID")]
    measurement_id: String,
    /// Hits to send
    #[arg(long, default_value_t = 200)]
    hits: u32,
    /// Milliseconds between two hits
    #[arg(long, default_value_t = 500)]
    interval_ms: u64,
    /// Milliseconds between two reports
    #[arg(long, default_value_t = 200)]
    poll_ms: u64,
    /// Give up when a hit is in no report after this many seconds
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
}

/// Sends the hits, watches the reports, prints the distribution.
///
/// # Errors
/// When a hit is refused or never shows up, or a service does not answer.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let folder = format!("/freshness/{:08x}/", rand::random::<u32>());
    let (acknowledged, arrivals) = tokio::sync::mpsc::channel(1024);
    let sending = send_hits(&arguments, &folder, acknowledged);
    let watching = watch_reports(&arguments, &folder, arrivals);
    let ((), times) = tokio::try_join!(sending, watching)?;
    print(&times);
    Ok(())
}

/// Sends hit after hit at a fixed pace and says when each was acknowledged.
async fn send_hits(
    arguments: &Arguments,
    folder: &str,
    acknowledged: tokio::sync::mpsc::Sender<(String, Instant)>,
) -> anyhow::Result<()> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}/v1/collect", arguments.collect.trim_end_matches('/'));
    let mut pace = tokio::time::interval(Duration::from_millis(arguments.interval_ms));
    for number in 0..arguments.hits {
        pace.tick().await;
        let page = format!("{folder}{number}");
        let hit = json!({ "event": "page_view", "url": format!("https://shop.example{page}") });
        let body = json!({ "measurement_id": arguments.measurement_id, "hits": [hit] }).to_string();
        let request = Request::post(&url)
            .header("content-type", "application/json")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0")
            .body(Full::new(Bytes::from(body)))?;
        let answer =
            client.request(request).await.map_err(|error| anyhow!("no answer from {url}: {error}"))?;
        ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
        acknowledged.send((page, Instant::now())).await.context("the watcher of reports ended")?;
    }
    Ok(())
}

/// Asks for reports until every acknowledged hit was in one; gives the times in milliseconds.
async fn watch_reports(
    arguments: &Arguments,
    folder: &str,
    mut arrivals: tokio::sync::mpsc::Receiver<(String, Instant)>,
) -> anyhow::Result<Histogram<u64>> {
    let mut reports = Reports::connect(arguments, folder).await?;
    let mut times = Histogram::new(3)?;
    let mut waiting: HashMap<String, Instant> = HashMap::new();
    let mut pace = tokio::time::interval(Duration::from_millis(arguments.poll_ms));
    let timeout = Duration::from_secs(arguments.timeout_s);
    let mut all_sent = false;
    while !(all_sent && waiting.is_empty()) {
        pace.tick().await;
        loop {
            match arrivals.try_recv() {
                Ok((page, at)) => drop(waiting.insert(page, at)),
                Err(tokio::sync::mpsc::error::TryRecvError::Empty) => break,
                Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => {
                    all_sent = true;
                    break;
                }
            }
        }
        if waiting.is_empty() {
            continue;
        }
        for page in reports.pages().await? {
            if let Some(at) = waiting.remove(&page) {
                times.record(u64::try_from(at.elapsed().as_millis())?)?;
            }
        }
        if let Some((page, _)) = waiting.iter().find(|(_, at)| at.elapsed() > timeout) {
            bail!("the hit on {page} is in no report {} s after its acknowledgement", arguments.timeout_s);
        }
    }
    Ok(times)
}

/// Reports of the pages that this run views.
struct Reports {
    client: ReportServiceClient<Channel>,
    key: String,
    request: RunReportRequest,
}

impl Reports {
    async fn connect(arguments: &Arguments, folder: &str) -> anyhow::Result<Self> {
        let key = std::fs::read_to_string(&arguments.key_file)
            .with_context(|| format!("cannot read --key-file {}", arguments.key_file.display()))?;
        let channel = Endpoint::from_shared(arguments.grpc.clone())?
            .connect()
            .await
            .with_context(|| format!("nobody answers at {}; give --grpc", arguments.grpc))?;
        let request = RunReportRequest {
            property_id: arguments.property.clone(),
            // The run may pass midnight.
            from: "yesterday".into(),
            to: "today".into(),
            metrics: vec!["page_views".into()],
            dimensions: vec!["page_path".into()],
            filter: format!("page_path =~ \"^{folder}\""),
            ..RunReportRequest::default()
        };
        Ok(Self { client: ReportServiceClient::new(channel), key: format!("Bearer {}", key.trim()), request })
    }

    async fn pages(&mut self) -> anyhow::Result<Vec<String>> {
        let mut request = tonic::Request::new(self.request.clone());
        request.metadata_mut().insert("authorization", self.key.parse()?);
        let report =
            self.client.run_report(request).await.map_err(|status| anyhow!("{}", status.message()))?;
        Ok(report
            .into_inner()
            .rows
            .into_iter()
            .filter_map(|row| row.dimension_values.into_iter().next())
            .collect())
    }
}

fn print(times: &Histogram<u64>) {
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];
    let mut table = Table::new();
    table.set_header(["acknowledgement to report", "seconds"]);
    for (name, quantile) in quantiles {
        let milliseconds = times.value_at_quantile(quantile);
        table.add_row([name.to_owned(), format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)]);
    }
    println!("{table}");
    let mut fields: serde_json::Map<String, serde_json::Value> = quantiles
        .into_iter()
        .map(|(name, quantile)| (format!("{name}_ms"), json!(times.value_at_quantile(quantile))))
        .collect();
    fields.insert("hits".into(), json!(times.len()));
    println!("{}", serde_json::Value::Object(fields));
}
