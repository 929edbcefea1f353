//! `meridian tail`: what comes for a property right now, hit by hit: is my tag working?
//!
//! Asks the edges' admin ports again and again; an edge keeps the last lines of a property for as long as it is asked.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::http_client::HttpClient;
use crate::property::Format;
use crate::services::Addresses;

const POLL: Duration = Duration::from_millis(500);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `meridian tail`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Stop after so many hits
    #[arg(long, value_name = "HITS")]
    count: Option<usize>,
    #[command(flatten)]
    addresses: Addresses,
    /// Form of the output; json: one object per line, with all that is known
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Prints hits until Ctrl-C, or as many as asked for.
///
/// # Errors
/// When no edge answers.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { property, count, addresses, format } = arguments;
    let is_id = property.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_id || !property.starts_with("p_") {
        bail!("--property is {property:?}, which is no property id; `meridian property list` shows them");
    }
    let client = HttpClient::new(REQUEST_TIMEOUT);
    let (mut known, mut left) = (HashSet::new(), count);
    let mut lines = ask(&client, &addresses.admin, &property).await?;
    eprintln!("waiting for hits of {property}; Ctrl-C ends");
    loop {
        // A line that was gone once does not come back, so the last answer is all that need be remembered.
        let mut answered = HashSet::new();
        for line in lines {
            let id = line["id"].as_str().unwrap_or_default().to_owned();
            if left != Some(0) && !known.contains(&id) {
                print(&line, format)?;
                left = left.map(|left| left - 1);
            }
            answered.insert(id);
        }
        known = answered;
        if left == Some(0) {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        lines = ask(&client, &addresses.admin, &property).await?;
    }
}

async fn ask(client: &HttpClient, admin: &[String], property: &str) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for address in admin {
        let url = format!("{address}/seen?property_id={property}");
        let answer: Value =
            client.get_json(&url).await.context("is --admin the edges', or that of `meridian dev`?")?;
        all.extend(answer["seen"].as_array().cloned().unwrap_or_default());
    }
    Ok(all)
}

fn print(line: &Value, format: Format) -> anyhow::Result<()> {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    match format {
        Format::Json => println!("{}", serde_json::to_string(line)?),
        Format::Table if text("outcome") == "accepted" => println!(
            "{} accepted {}{} {} {} {} visitor={} {}",
            text("event_time"),
            text("traffic_class"),
            match text("traffic_reason") {
                "" => String::new(),
                reason => format!(" ({reason})"),
            },
            text("protocol"),
            text("event"),
            text("url"),
            text("visitor"),
            line["params"],
        ),
        Format::Table => println!(
            "{} {} {}: {} {} {}",
            text("outcome"),
            text("protocol"),
            text("reason"),
            text("message"),
            text("field"),
            text("value"),
        ),
    }
    Ok(())
}
