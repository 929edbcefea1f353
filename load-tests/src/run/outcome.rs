//! The result of a run: what the table, the JSON and the page show.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::measure::{Measured, Second};
use crate::scenario::Scenario;
use crate::verify;

/// Quantiles that are shown.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Times at these quantiles, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyMs {
    /// Median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// One second of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Hits acknowledged in it.
    pub hits: u64,
    /// Requests refused in it.
    pub refused: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Latencies of what was acknowledged in it.
    pub latency_ms: LatencyMs,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Repeats the run, with the scenario.
    pub seed: u64,
    /// What was asked for.
    pub scenario: Scenario,
    /// Time from the beginning to the last answer, or the scenario's if that is longer, seconds.
    pub seconds: f64,
    /// Requests that were due.
    pub requests_due: u64,
    /// Requests acknowledged.
    pub requests_acknowledged: u64,
    /// Hits in them, repeats included.
    pub hits_acknowledged: u64,
    /// Hits acknowledged per second of that time.
    pub hits_per_second: f64,
    /// Requests refused with 429 or 503.
    pub refused: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Requests that were not sent because too many waited.
    pub not_sent: u64,
    /// Refused or unanswered requests that were sent again.
    pub retried: u64,
    /// From when a request was due to the end of its answer, without the answers of the warm-up.
    pub latency_ms: LatencyMs,
    /// How late the generator itself was: part of every latency.
    pub generator_late_ms: LatencyMs,
    /// CPU time of the generator per acknowledged hit, microseconds.
    pub generator_cpu_us_per_hit: f64,
    /// With `--verify`: acknowledged hits that were repeats.
    pub repeats: Option<u64>,
    /// With `--verify`: time from the last answer until nothing was pending, seconds.
    pub settled_s: Option<f64>,
    /// With `--verify`: the comparison.
    pub verified: Option<verify::Outcome>,
    /// By second.
    pub by_second: Vec<Point>,
}

impl LatencyMs {
    pub(crate) fn of(histogram: &hdrhistogram::Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        let [p50, p90, p99, p99_9, max] = QUANTILES.map(|(_, quantile)| at(quantile));
        Self { p50, p90, p99, p99_9, max }
    }

    fn values(&self) -> [f64; 5] {
        [self.p50, self.p90, self.p99, self.p99_9, self.max]
    }
}

impl Point {
    fn of(second: &Second) -> Self {
        Self {
            hits: second.hits,
            refused: second.refused,
            unanswered: second.unanswered,
            latency_ms: LatencyMs::of(&second.latency_us),
        }
    }
}

impl Outcome {
    /// The result of these measurements; `cpu` is the generator's own, latencies count after so many seconds.
    pub fn new(scenario: &Scenario, seed: u64, measured: &Measured, cpu: Duration, warm_up_s: u32) -> Self {
        let total = measured.total(0);
        let warm = measured.total(usize::try_from(warm_up_s).unwrap_or(usize::MAX));
        // What is answered after the last request was due came too late for the rate that was asked for.
        let seconds = scenario.seconds().max(measured.last_answer.as_secs_f64());
        Self {
            seed,
            scenario: scenario.clone(),
            seconds,
            requests_due: measured.due,
            requests_acknowledged: total.latency_us.len(),
            hits_acknowledged: total.hits,
            hits_per_second: total.hits as f64 / seconds,
            refused: total.refused,
            unanswered: total.unanswered,
            not_sent: measured.not_sent,
            retried: measured.retried,
            latency_ms: LatencyMs::of(&warm.latency_us),
            generator_late_ms: LatencyMs::of(&measured.late_us),
            generator_cpu_us_per_hit: cpu.as_secs_f64() * 1e6 / (total.hits.max(1) as f64),
            repeats: None,
            settled_s: None,
            verified: None,
            by_second: measured.seconds.iter().map(Point::of).collect(),
        }
    }

    /// Everything due was acknowledged, and reports say so, as far as that was looked at.
    pub fn is_good(&self) -> bool {
        match &self.verified {
            Some(verified) => verified.wrong == 0 && self.requests_acknowledged == self.requests_due,
            None => true,
        }
    }
}

/// Prints the result as tables.
pub fn print(outcome: &Outcome) {
    println!("{}", figures(outcome));
    let mut latency = Table::new();
    latency.load_style(presets::UTF8_FULL_CONDENSED);
    latency.set_header(["milliseconds"].into_iter().chain(QUANTILES.map(|(name, _)| name)));
    for (name, times) in [
        ("due to acknowledged", &outcome.latency_ms),
        ("the generator's share, at most", &outcome.generator_late_ms),
    ] {
        let cells = times.values().map(|value| format!("{value:.2}"));
        latency.add_row([name.to_owned()].into_iter().chain(cells));
    }
    println!("{latency}");
    let Some(verified) = &outcome.verified else { return };
    if outcome.requests_acknowledged < outcome.requests_due {
        println!("NOT ACKNOWLEDGED: {} requests", outcome.requests_due - outcome.requests_acknowledged);
    }
    let (compared, visited) = (verified.compared, verified.visited);
    if verified.wrong == 0 {
        println!(
            "verified: reports of {compared} of {visited} visited properties equal what was acknowledged"
        );
        return;
    }
    println!("DIFFERENT: {} of {compared} compared properties", verified.wrong);
    for difference in &verified.differences {
        println!("  {difference}");
    }
}

fn figures(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["load", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("hits acknowledged", outcome.hits_acknowledged.to_string());
    row("hits per second", format!("{:.0}", outcome.hits_per_second));
    row("requests due", outcome.requests_due.to_string());
    row("requests acknowledged", outcome.requests_acknowledged.to_string());
    row("requests refused", outcome.refused.to_string());
    row("requests without an answer", outcome.unanswered.to_string());
    row("requests not sent, too many waiting", outcome.not_sent.to_string());
    row("requests sent again", outcome.retried.to_string());
    row("generator's CPU per hit", format!("{:.2} µs", outcome.generator_cpu_us_per_hit));
    if let Some(settled_s) = outcome.settled_s {
        row("from the last answer to nothing pending", format!("{settled_s:.1} s"));
    }
    if let (Some(repeats), Some(verified)) = (outcome.repeats, &outcome.verified) {
        row("hits that were repeats", repeats.to_string());
        row("hits of the compared properties: acknowledged", verified.acknowledged.to_string());
        row("hits of the compared properties: reported", verified.reported.to_string());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_left_out_of_latencies_and_late_answers_lower_the_rate() {
        let mut measured = Measured { last_answer: Duration::from_secs(120), ..Measured::default() };
        for (second, latency_us) in [(0, 9_000), (1, 9_000), (2, 1_000), (119, 1_000)] {
            let into = measured.second(Duration::from_secs(second));
            into.hits = 3_000;
            into.latency_us.record(latency_us).unwrap();
        }
        let scenario = Scenario::default();
        let outcome = Outcome::new(&scenario, 7, &measured, Duration::ZERO, 2);
        // Values are kept to 3 digits.
        assert!((0.99..1.01).contains(&outcome.latency_ms.max), "{}", outcome.latency_ms.max);
        assert_eq!((outcome.hits_acknowledged, outcome.requests_acknowledged), (12_000, 4));
        assert!(scenario.seconds() < 100.0 && (outcome.hits_per_second - 100.0).abs() < 1e-9);
    }
}
