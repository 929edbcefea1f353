//! `meridian dev --demo`: a property of its own, a trickle of generated visits, and a first report.
//!
//! In: the addresses of the running services. Out: hits over HTTP like any client's, and on stdout what a newcomer
//! needs to know. The demo's property is made once and found again in the data directory.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use proto::config::CreatePropertyRequest;
use proto::config::property_service_client::PropertyServiceClient;
use proto::report::RunReportRequest;
use proto::report::report_service_client::ReportServiceClient;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Arguments;
use super::configs::Configs;
use super::layout::Layout;
use crate::http_client::HttpClient;
use crate::services::{Addresses, ApiOptions, DataOptions, call_error};

/// A new visitor comes this often on average.
const BETWEEN_VISITS: Duration = Duration::from_millis(500);
/// Visitors who are on the site at the same time at most.
const MAX_VISITS: usize = 200;
const REPORT_POLL: Duration = Duration::from_secs(1);

const PAGES: [&str; 8] =
    ["/", "/shoes", "/shoes/runner", "/shoes/hiker", "/jackets", "/jackets/rain", "/cart", "/checkout"];
const SOURCES: [&str; 6] = [
    "",
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://news.example.net/gear",
    "https://www.reddit.com/r/running",
    "",
];
const CAMPAIGNS: [&str; 4] = ["", "", "", "?utm_source=newsletter&utm_medium=email&utm_campaign=autumn"];
const USER_AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// The demo's property, as kept in the data directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DemoProperty {
    property_id: String,
    measurement_id: String,
}

/// Starts the demo if the arguments ask for it; otherwise a task that ends at once.
pub(super) fn start_if_asked(
    arguments: &Arguments,
    configs: &Configs,
    layout: &Layout,
    shutdown: &CancellationToken,
) -> JoinHandle<anyhow::Result<()>> {
    if !arguments.demo {
        return tokio::spawn(async { Ok(()) });
    }
    let demo = Demo {
        options: ApiOptions {
            addresses: Addresses {
                collect: configs.collect_url(),
                grpc: configs.grpc_url(),
                api: configs.api_url(),
                admin: Vec::new(),
            },
            key: None,
            data: DataOptions { data: layout.root.clone() },
        },
        file: layout.path("demo.json"),
        shutdown: shutdown.clone(),
    };
    tokio::spawn(demo.run())
}

struct Demo {
    options: ApiOptions,
    file: std::path::PathBuf,
    shutdown: CancellationToken,
}

impl Demo {
    async fn run(self) -> anyhow::Result<()> {
        let property = self.property().await.context("cannot make the demo property")?;
        self.print_directions(&property);
        let trickle = trickle(
            self.options.addresses.collect.clone(),
            property.measurement_id.clone(),
            self.shutdown.clone(),
        );
        let report = self.first_report(&property);
        let (trickled, reported) = tokio::join!(trickle, report);
        trickled.and(reported)
    }

    async fn property(&self) -> anyhow::Result<DemoProperty> {
        if let Ok(text) = std::fs::read_to_string(&self.file) {
            return serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged", self.file.display()));
        }
        let mut client = PropertyServiceClient::new(self.options.connect().await?);
        let request = CreatePropertyRequest { name: "Demo shop".into(), ..CreatePropertyRequest::default() };
        let created =
            client.create_property(request).await.map_err(|status| call_error(&status))?.into_inner();
        let property =
            DemoProperty { property_id: created.property_id, measurement_id: created.measurement_id };
        std::fs::write(&self.file, serde_json::to_string(&property)?)?;
        Ok(property)
    }

    fn print_directions(&self, property: &DemoProperty) {
        let DemoProperty { property_id, measurement_id } = property;
        let addresses = &self.options.addresses;
        println!(
            "\nMeridian is running. A demo shop gets a visitor about twice a second.\n\n\
             Send a hit:      curl -i -A 'Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0' {}/v1/collect -d '{{\"measurement_id\":\"{measurement_id}\",\"hits\":[{{\"event\":\"page_view\",\"url\":\"https://shop.example/hello\"}}]}}'\n\
             Ask for reports: target/debug/meridian report --data {} --grpc {} --property {property_id} --metrics visitors,page_views --dimensions page_path\n\
             Over JSON:       {}/v1/reports/run   (docs in README.md)\n\
             Stop:            Ctrl-C; the data stays, and the next start carries on\n\n\
             The first report follows in some seconds…",
            addresses.collect,
            self.options.data.data.display(),
            addresses.grpc,
            addresses.api
        );
    }

    /// Asks until the report has rows, then prints its first ones.
    async fn first_report(&self, property: &DemoProperty) -> anyhow::Result<()> {
        let mut client = ReportServiceClient::new(self.options.connect().await?);
        let request = RunReportRequest {
            property_id: property.property_id.clone(),
            from: "today".into(),
            to: "today".into(),
            metrics: ["visitors", "page_views", "events"].map(str::to_owned).to_vec(),
            dimensions: vec!["page_path".into()],
            limit: 10,
            ..RunReportRequest::default()
        };
        while !self.shutdown.is_cancelled() {
            match client.run_report(request.clone()).await.map(tonic::Response::into_inner) {
                Ok(report) if !report.rows.is_empty() => {
                    println!("\n{}\n", crate::report::to_table(&report));
                    return Ok(());
                }
                Ok(_nothing_yet) => {}
                // A service may be on its way back up.
                Err(status) => tracing::warn!(message = status.message(), "no report yet"),
            }
            tokio::time::sleep(REPORT_POLL).await;
        }
        Ok(())
    }
}

/// Sends visits until the shutdown.
async fn trickle(collect: String, measurement_id: String, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = HttpClient::new(Duration::from_secs(10));
    let url = format!("{collect}/v1/collect");
    let mut random = StdRng::from_rng(&mut rand::rng());
    let mut visits = JoinSet::new();
    while !shutdown.is_cancelled() {
        while visits.try_join_next().is_some() {}
        if visits.len() < MAX_VISITS {
            let seed = random.random();
            visits.spawn(visit(client.clone(), url.clone(), measurement_id.clone(), seed));
        }
        let wait = BETWEEN_VISITS.mul_f64(random.random_range(0.2..1.8));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(())
}

/// One visitor: a few pages, some seconds apart. A hit that is refused ends the visit, as a closed tab would.
async fn visit(client: HttpClient, url: String, measurement_id: String, seed: u64) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let pick = |random: &mut StdRng, from: &[&'static str]| from.choose(random).copied().unwrap_or_default();
    let address =
        format!("{}.{}.{}.{}", random.random_range(11..200), random.random::<u8>(), random.random::<u8>(), 7);
    let user_agent = pick(&mut random, &USER_AGENTS);
    let mut referrer = pick(&mut random, &SOURCES).to_owned();
    let mut query = pick(&mut random, &CAMPAIGNS);
    for _ in 0..random.random_range(1..6) {
        let page = format!("https://shop.example{}{query}", pick(&mut random, &PAGES));
        let hit = json!({
            "event": "page_view", "url": page, "referrer": referrer,
            "id": format!("{:032x}", random.random::<u128>()),
        });
        let body = json!({ "measurement_id": measurement_id, "hits": [hit] }).to_string();
        let headers = [
            ("content-type", "text/plain"),
            ("user-agent", user_agent),
            ("x-forwarded-for", address.as_str()),
        ];
        let answer = client.send(Method::POST, &url, &headers, Bytes::from(body)).await?;
        ensure!(answer.status.is_success(), "{}", answer.status);
        referrer = page;
        query = "";
        tokio::time::sleep(Duration::from_millis(random.random_range(500..8_000))).await;
    }
    Ok(())
}
