//! Metrics: one registry per process, shown on the admin port.
//!
//! Each service has a `metrics.rs` with one struct per stage, registered under the full name. The encoder appends
//! `_total` to counters itself: register `edge_collect_hits` to show `edge_collect_hits_total`. It writes OpenMetrics;
//! [`SharedRegistry::encode_text`] gives the older Prometheus text format, which is what `curl` and `promtool` expect.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The content type of [`SharedRegistry::encode_openmetrics`].
pub const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content type of [`SharedRegistry::encode_text`].
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A registry that the stages of a process share.
#[derive(Debug, Clone, Default)]
pub struct SharedRegistry(Arc<Mutex<Registry>>);

impl SharedRegistry {
    /// Registers metrics: `registry.register(CollectMetrics::new)` with `fn new(registry: &mut Registry) -> Self`.
    pub fn register<T>(&self, build: impl FnOnce(&mut Registry) -> T) -> T {
        build(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode_openmetrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    /// Everything in the Prometheus text format 0.0.4.
    pub fn encode_text(&self) -> Result<String, fmt::Error> {
        Ok(to_prometheus_text(&self.encode_openmetrics()?))
    }
}

/// The two formats differ in what a family is called: OpenMetrics names a counter without `_total` and an info without
/// `_info`, the older format by the name of its samples. It also has no units, no end mark and no type `unknown`.
fn to_prometheus_text(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Held back: the name depends on the type, which comes next.
            help = rest.split_once(' ').map(|(_, words)| words);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                push_line(&mut text, &["# HELP ", name, suffix, " ", help]);
            }
            push_line(&mut text, &["# TYPE ", name, suffix, " ", kind]);
        } else if !line.starts_with('#') {
            push_line(&mut text, &[line]);
        }
    }
    text
}

fn push_line(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests;
