//! `meridian import access-log`: page requests of a web server's log become hits with their own time.
//!
//! In: a log in Common or Combined Log Format, plain or gzip. Out: hits, sent to the edge in order of time, the hits of
//! one visitor never on two connections; a progress bar on a terminal; at the end one line that says what became of
//! every line. A broken line is counted and shown, and never stops an import. Every hit has an id made from the line,
//! so that an import that broke off can be started again within 24 hours without counting a line twice.

pub mod read;
pub mod log_line;
pub mod select;
pub mod send;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use proto::config::GetPropertyRequest;
use proto::config::property_service_client::PropertyServiceClient;
use serde::Serialize;

use crate::services::{ApiOptions, call_error};
use select::Selection;
use send::{Sender, Target};

/// Broken lines that are shown with their number; the others are only counted.
const SHOWN_BROKEN_LINES: usize = 5;

/// What to import.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import page requests from a web server's access log (Common or Combined Log Format, plain or gzip)
    #[command(
        after_help = "Page requests are GETs answered with 2xx or 304 whose path ends without an extension or in \
html, htm, xhtml, php, asp, aspx or jsp. The log is read whole and sorted by time first: about 500 bytes of memory for \
each page request."
    )]
    AccessLog(Arguments),
}

/// Arguments of `import access-log`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The log; - reads standard input
    file: PathBuf,
    /// Property id, "p_…"
    #[arg(long, value_name = "ID")]
    property: String,
    /// The property's API secret; in the data directory of `meridian dev` it is found there
    #[arg(long, env = "MERIDIAN_API_SECRET", value_name = "SECRET", hide_env_values = true)]
    api_secret: Option<String>,
    /// The property's measurement id, "M-…"; looked up if not given
    #[arg(long, value_name = "ID")]
    measurement_id: Option<String>,
    /// Host name of the site the log belongs to; the property's first host name if not given
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// Connections to send on
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the last line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What became of every line.
#[derive(Debug, Serialize)]
struct Summary {
    lines: u64,
    sent: u64,
    acknowledged: u64,
    skipped: BTreeMap<String, u64>,
    malformed: u64,
    seconds: f64,
}

/// Runs the import.
///
/// # Errors
/// When the log cannot be read, the property is not known, or the edge does not take hits.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::AccessLog(arguments) = command;
    let started = Instant::now();
    let target = find_target(&arguments).await?;
    let file = arguments.file.clone();
    let selection = tokio::task::spawn_blocking(move || select_all(&file)).await??;
    show_broken_lines(&selection);
    let Selection { lines, malformed, mut skipped, requests, .. } = selection;
    let sent = u64::try_from(requests.len()).unwrap_or(u64::MAX);
    let outcome = Sender::new(target, arguments.connections).send_all(requests).await?;
    for (line, message) in outcome.refused.iter().take(SHOWN_BROKEN_LINES) {
        eprintln!("line {line}: refused by the edge: {message}");
    }
    if !outcome.refused.is_empty() {
        skipped.insert("refused".into(), u64::try_from(outcome.refused.len()).unwrap_or(u64::MAX));
    }
    let acknowledged = outcome.acknowledged;
    let summary =
        Summary { lines, sent, acknowledged, skipped, malformed, seconds: started.elapsed().as_secs_f64() };
    print_summary(&summary, arguments.format)
}

/// Reads the log and keeps its page requests, in order of time.
fn select_all(file: &std::path::Path) -> anyhow::Result<Selection> {
    let mut selection = Selection::default();
    let progress = read::progress_of(file);
    read::for_each_line(file, &progress, |line| selection.take(line))?;
    progress.finish_and_clear();
    selection.sort();
    Ok(selection)
}

fn show_broken_lines(selection: &Selection) {
    for (line, reason) in &selection.first_malformed {
        eprintln!("line {line}: {reason}");
    }
    let shown = u64::try_from(selection.first_malformed.len()).unwrap_or(u64::MAX);
    if selection.malformed > shown {
        eprintln!("and {} more broken lines", selection.malformed - shown);
    }
}

fn print_summary(summary: &Summary, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string(summary)?),
        Format::Text => {
            let skipped: Vec<String> =
                summary.skipped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            println!(
                "{} lines: {} sent, {} acknowledged, {} malformed, skipped: {}; {:.1} s",
                summary.lines,
                summary.sent,
                summary.acknowledged,
                summary.malformed,
                if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") },
                summary.seconds
            );
        }
    }
    Ok(())
}

/// Finds out where to send, for which property, with which secret and host name.
async fn find_target(arguments: &Arguments) -> anyhow::Result<Target> {
    let kept = arguments.api.data.property_keys(&arguments.property)?;
    let api_secret =
        arguments.api_secret.clone().or_else(|| kept.as_ref().map(|keys| keys.api_secret.clone()));
    let Some(api_secret) = api_secret else {
        bail!(
            "an import needs the API secret of {}: give --api-secret or MERIDIAN_API_SECRET, or --data with the data \
             directory of `meridian dev`",
            arguments.property
        );
    };
    let mut measurement_id =
        arguments.measurement_id.clone().or_else(|| kept.map(|keys| keys.measurement_id));
    let mut hostname = arguments.hostname.clone();
    if measurement_id.is_none() || hostname.is_none() {
        let listed = find_property(arguments).await;
        match (listed, &measurement_id) {
            (Ok(property), _) => {
                measurement_id = measurement_id.or(Some(property.measurement_id));
                hostname = hostname.or_else(|| property.hostnames.into_iter().next());
            }
            (Err(error), None) => return Err(error.context("give --measurement-id, or a way to look it up")),
            (Err(_), Some(_)) => {} // Only the host name is unknown: the default serves.
        }
    }
    let url = format!("{}/v1/collect", arguments.api.addresses.collect.trim_end_matches('/'));
    Ok(Target {
        collect_url: url,
        measurement_id: measurement_id.context("the property has no measurement id")?,
        api_secret,
        hostname: hostname.unwrap_or_else(|| "localhost".to_owned()),
    })
}

async fn find_property(arguments: &Arguments) -> anyhow::Result<proto::config::Property> {
    let mut client = PropertyServiceClient::new(arguments.api.connect().await?);
    let request = GetPropertyRequest { property_id: arguments.property.clone() };
    Ok(client.get_property(request).await.map_err(|status| call_error(&status))?.into_inner())
}
