//! `run`: a scenario against a running system, from properties to the comparison with reports.
//!
//! In: scenario, addresses, seed. Out: a table, JSON, a page; exit code 1 when reports differ from what was acknowledged.

pub mod outcome;
pub mod page;
pub mod peak;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::outcome::{Outcome, print};
use crate::api::{Admin, Api};
use crate::measure::{self, Measured};
use crate::properties::{self, Properties};
use crate::scenario::Scenario;
use crate::send::{self, Target};
use crate::tally::Tally;
use crate::verify;

/// How often the progress line moves.
const TICK: Duration = Duration::from_millis(200);

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The scenario, TOML; `meridian-load scenario` prints one with every field
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// Where hits are sent
    #[arg(long, env = "MERIDIAN_COLLECT", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    collect: String,
    /// The gRPC API
    #[arg(long, env = "MERIDIAN_GRPC", value_name = "URL", default_value = "http://127.0.0.1:9090")]
    grpc: String,
    /// Admin ports, separated by commas; that of `meridian dev` answers for all its services. Used by --verify
    #[arg(
        long,
        env = "MERIDIAN_ADMIN",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:9091"
    )]
    admin: Vec<String>,
    /// A key that makes properties and reads their reports: the admin key
    #[arg(long, env = "MERIDIAN_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// Visit the properties in this file (JSON lines with property_id and measurement_id) instead of making some
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// Decides every byte that is sent, and when; drawn and printed when missing
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Send until acknowledged, wait until nothing is pending, compare every report with the own count
    #[arg(long)]
    verify: bool,
    /// With --verify: compare at most so many properties
    #[arg(long, value_name = "N", default_value_t = 20_000, requires = "verify")]
    verify_at_most: usize,
    /// With --verify: how long acknowledged hits may be pending after the last one, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "verify")]
    settle_s: u64,
    /// Leave the first seconds out of latencies: connections are made, caches filled
    #[arg(long, value_name = "SECONDS", default_value_t = 0, conflicts_with = "find_peak")]
    warm_up_s: u32,
    /// Find the highest rate with p99 below --p99-ms and nothing refused; the scenario's own rate is where it begins
    #[arg(long, conflicts_with = "verify")]
    find_peak: bool,
    /// With --find-peak: the bound, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50.0, requires = "find_peak")]
    p99_ms: f64,
    /// With --find-peak: how long each rate is tried, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, requires = "find_peak")]
    probe_s: f64,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the result as a page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write latencies by second in the log format of the HdrHistogram tools
    #[arg(long, value_name = "FILE", conflicts_with = "find_peak")]
    hdr_log: Option<PathBuf>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Good,
    /// Reports differ, or something was not acknowledged.
    Different,
    /// Ended by a signal.
    Stopped,
}

/// One run of a scenario.
pub(crate) struct Session {
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    measurement_ids: Vec<String>,
    target: Arc<Target>,
}

/// Runs the command.
///
/// # Errors
/// When a file, an address or the key is wrong, or the system refuses hits for what they are.
pub async fn run(arguments: Arguments) -> anyhow::Result<End> {
    let scenario = Scenario::read(&arguments.scenario)?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let target = Arc::new(Target::resolve(&arguments.collect, arguments.verify).await?);
    let api = connect(&arguments).await?;
    let properties = match (&arguments.properties, &api) {
        (Some(path), _) => properties::read(path, scenario.traffic.properties)?,
        (None, Some(api)) => properties::find_or_create(api, scenario.traffic.properties).await?,
        (None, None) => bail!("no key: give --key, or the properties to visit with --properties"),
    };
    let measurement_ids = properties.all.iter().map(|property| property.measurement_id.clone()).collect();
    let session = Session { scenario, seed, measurement_ids, target };
    stop_on_signal(&session.target);
    if arguments.find_peak {
        return peak::find(&session, &arguments).await;
    }
    once(&arguments, &session, api, &properties).await
}

async fn connect(arguments: &Arguments) -> anyhow::Result<Option<Arc<Api>>> {
    match &arguments.key {
        Some(key) => Ok(Some(Arc::new(Api::connect(&arguments.grpc, key).await?))),
        None if arguments.verify => bail!("no key: --verify reads reports; give --key"),
        None => Ok(None),
    }
}

async fn once(
    arguments: &Arguments,
    session: &Session,
    api: Option<Arc<Api>>,
    properties: &Properties,
) -> anyhow::Result<End> {
    let admin = Admin::new(arguments.admin.clone());
    let settle = Duration::from_secs(arguments.settle_s);
    let at_most = arguments.verify_at_most;
    let to_verify = api.filter(|_| arguments.verify);
    let before = match &to_verify {
        Some(api) => {
            admin.settle(settle).await.context("before the run")?;
            verify::before(api, properties, at_most).await?
        }
        None => verify::Before::new(),
    };
    let started_at = SystemTime::from(jiff::Timestamp::now());
    let (measured, tally, cpu) = session.drive(&session.scenario, session.seed).await?;
    let mut outcome = Outcome::new(&session.scenario, session.seed, &measured, cpu, arguments.warm_up_s);
    if let Some(api) = &to_verify {
        let settled = std::time::Instant::now();
        admin.settle(settle).await?;
        outcome.settled_s = Some(settled.elapsed().as_secs_f64());
        outcome.repeats = Some(tally.repeats);
        outcome.verified =
            Some(verify::compare(api, properties, &tally, &before, session.seed, at_most).await?);
    }
    print(&outcome);
    write_files(arguments, &outcome, &measured, started_at)?;
    if session.target.stop.is_cancelled() {
        return Ok(End::Stopped);
    }
    Ok(if outcome.is_good() { End::Good } else { End::Different })
}

impl Session {
    /// Sends a scenario's load; gives what was measured, counted, and the generator's CPU time.
    pub(crate) async fn drive(
        &self,
        scenario: &Scenario,
        seed: u64,
    ) -> anyhow::Result<(Measured, Tally, Duration)> {
        let cpu = measure::own_cpu();
        let progress = tokio::spawn(show_progress(self.target.clone(), scenario.seconds()));
        let (scenario, target) = (scenario.clone(), self.target.clone());
        let ids = self.measurement_ids.clone();
        let sent = tokio::task::spawn_blocking(move || send::run(&scenario, seed, &ids, &target)).await;
        progress.abort();
        let (measured, tally) = sent??;
        Ok((measured, tally, measure::own_cpu().saturating_sub(cpu)))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.target.stop.is_cancelled()
    }
}

/// The first signal ends the run with what was measured so far; the second ends the process.
fn stop_on_signal(target: &Arc<Target>) {
    let stop = target.stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

async fn show_progress(target: Arc<Target>, seconds: f64) {
    let Ok(style) = ProgressStyle::with_template("{bar:40} {elapsed}/{msg}") else { return };
    let bar = ProgressBar::new(millis(Duration::from_secs_f64(seconds))).with_style(style);
    let begun = tokio::time::Instant::now();
    let before = target.acknowledged.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(TICK).await;
        let elapsed = begun.elapsed();
        let hits = target.acknowledged.load(Ordering::Relaxed) - before;
        let refused = target.refused.load(Ordering::Relaxed);
        bar.set_position(millis(elapsed).min(bar.length().unwrap_or(0)));
        bar.set_message(format!(
            "{seconds:.0}s  {:.0} hits/s  {refused} refused",
            hits as f64 / elapsed.as_secs_f64()
        ));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn write_files(
    arguments: &Arguments,
    outcome: &Outcome,
    measured: &Measured,
    started_at: SystemTime,
) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(outcome)?;
        std::fs::write(path, text).with_context(|| format!("cannot write --json {}", path.display()))?;
    }
    if let Some(path) = &arguments.html {
        let text = page::page(outcome, measured);
        std::fs::write(path, text).with_context(|| format!("cannot write --html {}", path.display()))?;
    }
    if let Some(path) = &arguments.hdr_log {
        let context = || format!("cannot write --hdr-log {}", path.display());
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).with_context(context)?);
        measure::write_log(&mut file, measured, started_at)?;
        file.flush().with_context(context)?;
    }
    Ok(())
}
