//! `meridian erase`: has visitors, and what is past its retention, erased, and shows how far erasures are.
//!
//! In: what is known of visitors. Out: jobs. They are carried out behind the API; `show --wait` looks at one until it is done, or until all
//! that is left is to wait for what ends by itself.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use proto::config::erasure_service_client::ErasureServiceClient;
use proto::config::{
    EraseVisitorsRequest, Erasure, ErasureHold, ErasureStep, GetErasureRequest, ListErasuresRequest,
    RunRetentionRequest, VisitorTraits,
};
use serde_json::{Value, json};

use crate::Failure;
use crate::property::Format;
use crate::services::{ApiOptions, KeyedChannel, call_error, every_page};

/// Pause between two looks at a job.
const LOOK: Duration = Duration::from_millis(500);

/// What to do with erasures.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Erase a visitor of a property; takes the key of an owner
    Visitor(VisitorArguments),
    /// List erasures, newest first: of the last 30 days, with the admin key all that there ever were
    List(ListArguments),
    /// Show how far an erasure is, and what still holds some of it
    Show(ShowArguments),
    /// Erase now what is past its retention, which is done once a day anyway; takes the admin key
    Retention(RetentionArguments),
}

/// Arguments of `erase visitor`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("who").required(true).multiple(true)))]
pub struct VisitorArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Client id as the client sent it; may be repeated
    #[arg(long = "client-id", value_name = "ID", group = "who")]
    client_ids: Vec<String>,
    /// Visitor id, 16 digits of 0-9 and a-f; may be repeated
    #[arg(long = "visitor-id", value_name = "HEX", group = "who")]
    visitor_ids: Vec<String>,
    /// A visitor who sent no client id: IP address. The visitor can be found for 72 hours after the date began
    #[arg(long, group = "who", requires_all = ["user_agent", "host", "date"])]
    address: Option<String>,
    /// Likewise: user agent, to the letter
    #[arg(long, requires = "address")]
    user_agent: Option<String>,
    /// Likewise: host name of the pages
    #[arg(long, requires = "address")]
    host: Option<String>,
    /// Likewise: local date of the property, 2026-01-31
    #[arg(long, requires = "address")]
    date: Option<String>,
    /// Likewise: the hits were imported when the 72 hours were over; then the visitor can be found at any time
    #[arg(long, requires = "address")]
    imported: bool,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `erase list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those of this property
    #[arg(long, default_value = "", hide_default_value = true)]
    property: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `erase show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Job id, e_…
    #[arg(long)]
    job: String,
    /// Wait until everything that can be removed is gone from the warehouse
    #[arg(long)]
    wait: bool,
    /// With --wait: give up after this many seconds, with exit code 3
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    timeout: u64,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `erase retention`.
#[derive(Debug, Args)]
pub struct RetentionArguments {
    /// Only show what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses; when waiting took too long.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Visitor(arguments) => Ok(visitor(arguments).await?),
        Command::List(arguments) => Ok(list(arguments).await?),
        Command::Show(arguments) => show(arguments).await,
        Command::Retention(arguments) => Ok(retention(arguments).await?),
    }
}

pub(crate) async fn connect(api: &ApiOptions) -> anyhow::Result<ErasureServiceClient<KeyedChannel>> {
    Ok(ErasureServiceClient::new(api.connect().await?))
}

async fn visitor(arguments: VisitorArguments) -> anyhow::Result<()> {
    let VisitorArguments {
        property, client_ids, visitor_ids, address, user_agent, host, date, imported, ..
    } = arguments;
    let traits = address.map(|address| VisitorTraits {
        host: host.unwrap_or_default(),
        address,
        user_agent: user_agent.unwrap_or_default(),
        date: date.unwrap_or_default(),
        imported,
    });
    let traits = traits.into_iter().collect();
    let request = EraseVisitorsRequest { property_id: property, client_ids, visitor_ids, traits };
    let answer = connect(&arguments.api).await?.erase_visitors(request).await;
    print(&answer.map_err(|status| call_error(&status))?.into_inner(), arguments.format);
    Ok(())
}

async fn list(arguments: ListArguments) -> anyhow::Result<()> {
    let ListArguments { property, api, format } = arguments;
    let mut client = connect(&api).await?;
    let all = every_page(async |page_token| {
        let request = ListErasuresRequest { property_id: property.clone(), page_size: 0, page_token };
        let answer = client.list_erasures(request).await?.into_inner();
        Ok((answer.erasures, answer.next_page_token))
    });
    let all = all.await?;
    match format {
        Format::Json => all.iter().for_each(|erasure| println!("{}", json(erasure))),
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["job", "kind", "property_id", "requested_at", "state"]);
            for Erasure { job, kind, property_id, requested_at, state, .. } in &all {
                table.add_row([job, kind, property_id, requested_at, state]);
            }
            println!("{table}");
        }
    }
    Ok(())
}

async fn show(arguments: ShowArguments) -> Result<(), Failure> {
    let ShowArguments { job, wait, timeout, api, format } = arguments;
    let mut client = connect(&api).await?;
    let mut ask = async || -> anyhow::Result<Erasure> {
        let answer = client.get_erasure(GetErasureRequest { job: job.clone() }).await;
        Ok(answer.map_err(|status| call_error(&status))?.into_inner())
    };
    let mut erasure = ask().await?;
    if wait {
        let bar = progress_bar();
        let waiting = async {
            while !is_gone(&erasure) {
                bar.set_length(u64::try_from(erasure.steps.len()).unwrap_or(u64::MAX));
                bar.set_position(done(&erasure));
                bar.set_message(erasure.waits_for.first().cloned().unwrap_or_else(|| erasure.state.clone()));
                tokio::time::sleep(LOOK).await;
                erasure = ask().await?;
            }
            anyhow::Ok(())
        };
        let waited = tokio::time::timeout(Duration::from_secs(timeout), waiting).await;
        bar.finish_and_clear();
        match waited {
            Ok(ended) => ended?,
            Err(_) => {
                return Err(Failure::TimedOut(format!(
                    "after {timeout} s the erasure is {:?}; `meridian erase show --job {job}` shows what it waits for",
                    erasure.state
                )));
            }
        }
    }
    print(&erasure, format);
    Ok(())
}

async fn retention(arguments: RetentionArguments) -> anyhow::Result<()> {
    let RetentionArguments { dry_run, api, format } = arguments;
    let answer = connect(&api).await?.run_retention(RunRetentionRequest { dry_run }).await;
    let answer = answer.map_err(|status| call_error(&status))?.into_inner();
    match format {
        Format::Json => {
            for past in &answer.properties {
                println!(
                    "{}",
                    json!({"property_id": past.property_id, "before": past.before, "first": past.first})
                );
            }
            println!("{}", json!({"jobs": answer.jobs, "dry_run": dry_run}));
        }
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["property_id", "first date", "goes before"]);
            for past in &answer.properties {
                table.add_row([&past.property_id, &past.first, &past.before]);
            }
            println!("{table}");
            answer.jobs.iter().for_each(|job| println!("{job}"));
        }
    }
    Ok(())
}

/// Whether the rows are gone: it is done, or all its steps are and it waits for what ends by itself. While steps are carried out it waits for
/// nothing.
fn is_gone(erasure: &Erasure) -> bool {
    let all_done = !erasure.steps.is_empty() && erasure.steps.iter().all(|step| step.done);
    erasure.state == "done" || all_done && !erasure.waits_for.is_empty()
}

fn done(erasure: &Erasure) -> u64 {
    u64::try_from(erasure.steps.iter().filter(|step| step.done).count()).unwrap_or(u64::MAX)
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("erasing {wide_bar} {pos} of {len} steps, {elapsed}  {msg}");
    // The template is a constant.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// A job as it is printed.
pub(crate) fn print(erasure: &Erasure, format: Format) {
    if format == Format::Json {
        println!("{}", json(erasure));
        return;
    }
    let Erasure { job, kind, property_id, requested_at, state, count, steps, waits_for, holds } = erasure;
    println!("{job}  {kind}  {property_id}  {count}  asked for {requested_at}  {state}");
    if !steps.is_empty() {
        let mut table = Table::new();
        table.set_header(["where", "what", "rows", "left", "done"]);
        for ErasureStep { store, what, rows_before, rows_after, done } in steps {
            let left = rows_after.map(|rows| rows.to_string()).unwrap_or_default();
            let done = if *done { "yes" } else { "no" };
            table.add_row([store.as_str(), what, &rows_before.to_string(), &left, done]);
        }
        println!("{table}");
    }
    waits_for.iter().for_each(|what| println!("waits: {what}"));
    if !holds.is_empty() {
        let mut table = Table::new();
        table.set_header(["still in", "dates", "until", "what"]);
        for ErasureHold { store, until, from, to, what } in holds {
            let dates = if from.is_empty() { String::new() } else { format!("{from} to {to}") };
            table.add_row([store.as_str(), &dates, until, what]);
        }
        println!("{table}");
    }
}

fn json(erasure: &Erasure) -> Value {
    let Erasure { job, kind, property_id, requested_at, state, count, steps, waits_for, holds } = erasure;
    let step = |step: &ErasureStep| {
        let ErasureStep { store, what, rows_before, rows_after, done } = step;
        json!({"store": store, "what": what, "rows_before": rows_before, "rows_after": rows_after, "done": done})
    };
    let hold = |hold: &ErasureHold| {
        let ErasureHold { store, until, from, to, what } = hold;
        json!({"store": store, "until": until, "from": from, "to": to, "what": what})
    };
    json!({
        "job": job, "kind": kind, "property_id": property_id, "requested_at": requested_at, "state": state, "count": count,
        "steps": steps.iter().map(step).collect::<Vec<_>>(), "waits_for": waits_for,
        "holds": holds.iter().map(hold).collect::<Vec<_>>(),
    })
}
