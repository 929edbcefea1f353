//! The result as one page that needs nothing else: plots are SVG, colours follow the reader's light or dark.

pub mod plot;

use std::fmt::Write;

use crate::measure::Measured;
use crate::scenario::Scenario;

use self::plot::{Plot, Scale, Series};
use super::outcome::Outcome;
use super::peak::{Peak, Trial};

const HEAD: &str = include_str!("page/head.html");

/// Points of the curve of latency by percentile.
const CURVE_POINTS: u32 = 200;

/// The page.
pub fn page(outcome: &Outcome, measured: &Measured) -> String {
    let mut page = HEAD.to_owned();
    // Writing to a String does not fail.
    let _ = write!(page, "<h1>Load test</h1><p class=\"sub\">{}</p>", escape(&summary(outcome)));
    tiles(&mut page, outcome);
    let by_second = |value: fn(&super::outcome::Point) -> f64| -> Vec<(f64, f64)> {
        (0..).zip(&outcome.by_second).map(|(at, point)| (f64::from(at), value(point))).collect()
    };
    let latency = Plot {
        title: "Latency over time",
        x: "seconds since the beginning",
        y: "milliseconds, logarithmic",
        scale: Scale::Logarithmic,
        series: vec![
            Series { name: "p50", class: "a", points: by_second(|point| point.latency_ms.p50) },
            Series { name: "p99", class: "b", points: by_second(|point| point.latency_ms.p99) },
            Series { name: "max", class: "c", points: by_second(|point| point.latency_ms.max) },
        ],
    };
    let throughput = Plot {
        title: "Throughput over time",
        x: "seconds since the beginning",
        y: "per second",
        scale: Scale::Linear,
        series: vec![
            Series { name: "hits acknowledged", class: "a", points: by_second(|point| point.hits as f64) },
            Series {
                name: "requests refused or unanswered",
                class: "c",
                points: by_second(|point| (point.refused + point.unanswered) as f64),
            },
        ],
    };
    let curve = Plot {
        title: "Latency by percentile",
        x: "one request in so many takes longer (powers of ten)",
        y: "milliseconds, logarithmic",
        scale: Scale::Logarithmic,
        series: vec![Series { name: "due to acknowledged", class: "a", points: curve(measured) }],
    };
    for plot in [throughput, latency, curve] {
        plot.write(&mut page);
    }
    differences(&mut page, outcome);
    let scenario = toml::to_string(&outcome.scenario).unwrap_or_default();
    let _ = write!(page, "<h2>Scenario</h2><pre>{}</pre></main></html>", escape(&scenario));
    page
}

fn summary(outcome: &Outcome) -> String {
    let connections = &outcome.scenario.connections;
    format!(
        "{:.0} s, {} properties, {} hits per request, {} connections of HTTP/{}, seed {}",
        outcome.scenario.seconds(),
        outcome.scenario.traffic.properties,
        connections.hits_per_request,
        connections.count,
        connections.http,
        outcome.seed
    )
}

fn tiles(page: &mut String, outcome: &Outcome) {
    let lost = outcome.refused + outcome.unanswered + outcome.not_sent;
    let mut all = vec![
        ("hits per second", format!("{:.0}", outcome.hits_per_second)),
        ("hits acknowledged", outcome.hits_acknowledged.to_string()),
        ("p50", format!("{:.2} ms", outcome.latency_ms.p50)),
        ("p99", format!("{:.2} ms", outcome.latency_ms.p99)),
        ("max", format!("{:.2} ms", outcome.latency_ms.max)),
        ("refused, unanswered, not sent", lost.to_string()),
        ("generator late by, p99", format!("{:.2} ms", outcome.generator_late_ms.p99)),
    ];
    if let Some(verified) = &outcome.verified {
        let verdict = if outcome.is_good() { "equal" } else { "DIFFERENT" };
        all.push(("reports and acknowledged hits", format!("{verdict} ({} properties)", verified.compared)));
    }
    page.push_str("<div class=\"tiles\">");
    for (name, value) in all {
        let _ = write!(page, "<div><b>{}</b><span>{}</span></div>", escape(&value), escape(name));
    }
    page.push_str("</div>");
}

/// The page of a search for the peak.
pub(super) fn peak_page(scenario: &Scenario, found: &Peak) -> String {
    let mut page = HEAD.to_owned();
    let bound = found.p99_bound_ms;
    let _ = write!(
        page,
        "<h1>Peak: {:.0} hits/s</h1><p class=\"sub\">p99 at most {bound} ms, nothing refused</p>",
        found.peak_hits_per_second
    );
    let mut trials: Vec<&Trial> = found.trials.iter().collect();
    trials.sort_by(|a, b| a.hits_per_second.total_cmp(&b.hits_per_second));
    let by_rate =
        |value: fn(&Trial) -> f64| trials.iter().map(|trial| (trial.hits_per_second, value(trial))).collect();
    let latency = Plot {
        title: "Latency by rate",
        x: "hits per second asked for",
        y: "milliseconds, logarithmic",
        scale: Scale::Logarithmic,
        series: vec![
            Series { name: "p50", class: "a", points: by_rate(|trial| trial.latency_ms.p50) },
            Series { name: "p99", class: "b", points: by_rate(|trial| trial.latency_ms.p99) },
        ],
    };
    let throughput = Plot {
        title: "Throughput by rate",
        x: "hits per second asked for",
        y: "hits per second acknowledged",
        scale: Scale::Linear,
        series: vec![Series {
            name: "acknowledged",
            class: "a",
            points: by_rate(|trial| trial.acknowledged_per_second),
        }],
    };
    latency.write(&mut page);
    throughput.write(&mut page);
    let scenario = toml::to_string(scenario).unwrap_or_default();
    let _ = write!(page, "<h2>Scenario</h2><pre>{}</pre></main></html>", escape(&scenario));
    page
}

/// x: powers of ten of 1 / (1 − quantile), y: milliseconds.
fn curve(measured: &Measured) -> Vec<(f64, f64)> {
    let latency = measured.total(0).latency_us;
    let nines = (latency.len().max(10) as f64).log10();
    (0..=CURVE_POINTS)
        .map(|at| {
            let x = nines * f64::from(at) / f64::from(CURVE_POINTS);
            let quantile = 1.0 - 10_f64.powf(-x);
            (x, latency.value_at_quantile(quantile) as f64 / 1_000.0)
        })
        .collect()
}

fn differences(page: &mut String, outcome: &Outcome) {
    let Some(verified) = outcome.verified.as_ref().filter(|verified| verified.wrong > 0) else { return };
    let _ = write!(page, "<h2>{} properties differ</h2><ul>", verified.wrong);
    for difference in &verified.differences {
        let _ = write!(page, "<li>{}</li>", escape(difference));
    }
    page.push_str("</ul>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn page_holds_the_figures_and_nothing_from_elsewhere() {
        let mut measured = Measured::default();
        for second in 0..5 {
            let into = measured.second(Duration::from_secs(second));
            into.hits = 1_000 + second;
            into.latency_us.record(1_500 * (second + 1)).unwrap();
        }
        let mut outcome = Outcome::new(&Scenario::default(), 7, &measured, Duration::ZERO, 0);
        outcome.verified = Some(crate::verify::Outcome {
            compared: 1,
            visited: 1,
            acknowledged: 1,
            reported: 2,
            wrong: 1,
            differences: vec!["p_1: <b>".to_owned()],
        });
        let page = page(&outcome, &measured);
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("<b>5010</b><span>hits acknowledged") && page.contains("p_1: &lt;b&gt;"));
        assert!(!page.contains("http://") && !page.contains("https://"), "it loads something");
    }
}
