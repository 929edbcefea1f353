//! The highest rate that a system bears: doubled until it fails, then halved in between.
//!
//! A rate is borne when p99 lies below the bound, nothing was refused, unanswered or not sent, and everything due was
//! acknowledged. The first part of each trial warms up and does not count towards p99.

use std::time::Duration;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::outcome::LatencyMs;
use super::page::peak_page;
use super::{Arguments, End, Session};
use crate::generate::mix;
use crate::measure::Measured;
use crate::scenario::{Phase, Scenario};

/// Part of each trial that warms up.
const WARM_UP: f64 = 0.3;
/// The search ends when the two rates lie this close.
const PRECISION: f64 = 0.05;
/// Rates are doubled at most so often.
const DOUBLINGS: u32 = 16;

/// One trial.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Trial {
    pub(super) hits_per_second: f64,
    pub(super) acknowledged_per_second: f64,
    refused: u64,
    unanswered: u64,
    not_sent: u64,
    pub(super) latency_ms: LatencyMs,
    borne: bool,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Peak {
    pub(super) peak_hits_per_second: f64,
    pub(super) p99_bound_ms: f64,
    pub(super) trials: Vec<Trial>,
}

/// Looks for the peak and prints each trial.
pub(super) async fn find(session: &Session, arguments: &Arguments) -> anyhow::Result<End> {
    let (p99_ms, probe_s) = (arguments.p99_ms, arguments.probe_s);
    let mut trials: Vec<Trial> = Vec::new();
    let mut rate = session.scenario.load.phases.first().map_or(1_000.0, |phase| phase.hits_per_second);
    let (mut borne, mut failed): (Option<f64>, Option<f64>) = (None, None);
    for number in 0..DOUBLINGS * 2 {
        // Each trial with ids of its own: a hit that comes again is a repeat, and cheaper.
        let seed = mix(session.seed, number.into());
        let trial = try_rate(session, seed, rate, p99_ms, probe_s).await?;
        if session.is_stopped() {
            return Ok(End::Stopped);
        }
        eprintln!(
            "{rate:>10.0} hits/s: p99 {:.2} ms, {} refused, {} unanswered, {} not sent: {}",
            trial.latency_ms.p99,
            trial.refused,
            trial.unanswered,
            trial.not_sent,
            if trial.borne { "borne" } else { "too much" }
        );
        *(if trial.borne { &mut borne } else { &mut failed }) = Some(rate);
        trials.push(trial);
        rate = match (borne, failed) {
            (Some(low), Some(high)) if (high - low) / high <= PRECISION => break,
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (Some(low), None) => low * 2.0,
            (None, Some(high)) => high / 2.0,
            (None, None) => break,
        };
        if rate < 1.0 {
            break;
        }
    }
    let found = Peak { peak_hits_per_second: borne.unwrap_or(0.0), p99_bound_ms: p99_ms, trials };
    print(&found.trials);
    println!("peak: {:.0} hits/s with p99 ≤ {p99_ms} ms", found.peak_hits_per_second);
    write_files(session, arguments, &found)?;
    Ok(End::Good)
}

fn write_files(session: &Session, arguments: &Arguments, found: &Peak) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(found)?;
        std::fs::write(path, text).with_context(|| format!("cannot write --json {}", path.display()))?;
    }
    if let Some(path) = &arguments.html {
        let text = peak_page(&session.scenario, found);
        std::fs::write(path, text).with_context(|| format!("cannot write --html {}", path.display()))?;
    }
    Ok(())
}

async fn try_rate(
    session: &Session,
    seed: u64,
    rate: f64,
    p99_ms: f64,
    probe_s: f64,
) -> anyhow::Result<Trial> {
    let mut scenario: Scenario = session.scenario.clone();
    scenario.load.phases = vec![Phase { seconds: probe_s, hits_per_second: rate }];
    scenario.load.spikes = None;
    let (measured, _, _) = session.drive(&scenario, seed).await?;
    Ok(judge(&measured, rate, p99_ms, probe_s))
}

fn judge(measured: &Measured, rate: f64, p99_ms: f64, probe_s: f64) -> Trial {
    let all = measured.total(0);
    let warm_up = Duration::from_secs_f64(probe_s * WARM_UP);
    let warm = measured.total(usize::try_from(warm_up.as_secs()).unwrap_or(0));
    let latency_ms = LatencyMs::of(&warm.latency_us);
    let is_complete = all.latency_us.len() == measured.due && measured.due > 0;
    Trial {
        hits_per_second: rate,
        acknowledged_per_second: all.hits as f64 / probe_s,
        refused: all.refused,
        unanswered: all.unanswered,
        not_sent: measured.not_sent,
        latency_ms,
        borne: is_complete && latency_ms.p99 <= p99_ms,
    }
}

fn print(trials: &[Trial]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["hits/s", "acknowledged/s", "p50 ms", "p99 ms", "refused", "borne"]);
    for trial in trials {
        table.add_row([
            format!("{:.0}", trial.hits_per_second),
            format!("{:.0}", trial.acknowledged_per_second),
            format!("{:.2}", trial.latency_ms.p50),
            format!("{:.2}", trial.latency_ms.p99),
            trial.refused.to_string(),
            if trial.borne { "yes" } else { "no" }.to_owned(),
        ]);
    }
    println!("{table}");
}
