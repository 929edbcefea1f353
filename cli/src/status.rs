//! `meridian status`: what is accepted, loaded and still under way, added up over the services' admin ports.

use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use futures::future::join_all;
use service::status::{QueueStatus, ServiceReport, ServiceStatus, Status, merge};

use crate::Failure;
use crate::http_client::HttpClient;
use crate::services::Addresses;

const POLL: Duration = Duration::from_millis(200);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `meridian status`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    addresses: Addresses,
    /// Wait until reports show every acknowledged hit (pending is 0)
    #[arg(long)]
    wait: bool,
    /// With --wait: give up after this many seconds, with exit code 3
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    timeout: u64,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Shows the status, after waiting if asked to.
///
/// # Errors
/// When no service answers, or waiting took too long.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = HttpClient::new(REQUEST_TIMEOUT);
    let status = if arguments.wait {
        wait(&client, &arguments.addresses.admin, Duration::from_secs(arguments.timeout)).await?
    } else {
        ask(&client, &arguments.addresses.admin).await?
    };
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string(&status).map_err(anyhow::Error::from)?),
        Format::Table => println!("{}", to_table(&status)),
    }
    Ok(())
}

/// Asks until nothing is pending and every service answers.
async fn wait(client: &HttpClient, admin: &[String], timeout: Duration) -> Result<Status, Failure> {
    let waiting = async {
        loop {
            if let Ok(status) = ask(client, admin).await
                && status.pending == 0
                && status.services.iter().all(|service| service.unreachable.is_none())
            {
                return status;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    if let Ok(status) = tokio::time::timeout(timeout, waiting).await {
        return Ok(status);
    }
    let seconds = timeout.as_secs();
    let state = match ask(client, admin).await {
        Ok(status) if status.pending > 0 => format!("{} acknowledged hits are still pending", status.pending),
        Ok(status) => {
            let silent = status.services.iter().filter(|service| service.unreachable.is_some());
            let names: Vec<&str> = silent.map(|service| service.service.as_str()).collect();
            format!("nothing is known to be pending, but no answer came from: {}", names.join(", "))
        }
        Err(error) => format!("{error:#}"),
    };
    Err(Failure::TimedOut(format!("gave up after {seconds} s: {state}")))
}

/// Asks every address once and adds up the answers.
async fn ask(client: &HttpClient, admin: &[String]) -> anyhow::Result<Status> {
    let answers = join_all(admin.iter().map(|address| async move {
        let url = format!("{}/status", address.trim_end_matches('/'));
        (address, client.get_json::<ServiceReport>(&url).await)
    }))
    .await;
    if answers.iter().all(|(_, answer)| answer.is_err()) {
        let reasons: Vec<String> = answers
            .into_iter()
            .filter_map(|(_, answer)| answer.err())
            .map(|error| format!("{error:#}"))
            .collect();
        anyhow::bail!("{}; give the admin address with --admin", reasons.join("; "));
    }
    let reports = answers.into_iter().map(|(address, answer)| {
        answer.unwrap_or_else(|error| ServiceReport {
            services: vec![ServiceStatus::unreachable("unknown", address.as_str(), format!("{error:#}"))],
            positions: Vec::new(),
        })
    });
    Ok(merge(reports.collect()))
}

fn to_table(status: &Status) -> String {
    let mut hits = Table::new();
    hits.load_style(presets::UTF8_FULL_CONDENSED);
    hits.set_header(["hits", ""]);
    let mut row = |name: String, count: u64| {
        hits.add_row([name, count.to_string()]);
    };
    row("acknowledged".into(), status.hits.acknowledged);
    row("loaded".into(), status.hits.loaded);
    row("pending".into(), status.pending);
    row("repeated".into(), status.hits.repeated);
    for (class, count) in &status.hits.by_class {
        row(format!("class {class}"), *count);
    }
    for (reason, count) in &status.hits.dropped {
        row(format!("dropped: {reason}"), *count);
    }
    let mut services = Table::new();
    services.load_style(presets::UTF8_FULL_CONDENSED);
    services.set_header(["service", "id", "lag", "queues", "stores"]);
    for service in &status.services {
        if let Some(reason) = &service.unreachable {
            services.add_row([service.service.as_str(), &service.id, "", reason, ""]);
            continue;
        }
        let queues = service.queues.iter().map(|(name, queue)| format!("{name} {}", shown(queue)));
        let stores = service.stores.iter().map(|(name, bytes)| format!("{name} {}", megabytes(*bytes)));
        services.add_row([
            service.service.clone(),
            service.id.clone(),
            format!("{:.1} s", service.lag_seconds),
            queues.collect::<Vec<_>>().join("\n"),
            stores.collect::<Vec<_>>().join("\n"),
        ]);
    }
    format!("{hits}\n{services}")
}

/// How full a queue is, for eyes.
fn shown(queue: &QueueStatus) -> String {
    let QueueStatus { length, limit, unit } = queue;
    match (unit.as_str(), *limit) {
        ("bytes", 0) => megabytes(*length),
        ("bytes", limit) => format!("{} of {}", megabytes(*length), megabytes(limit)),
        (unit, 0) => format!("{length} {unit}"),
        (unit, limit) => format!("{length} of {limit} {unit}"),
    }
}

/// Bytes for eyes: 10^6 bytes with one digit.
fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
