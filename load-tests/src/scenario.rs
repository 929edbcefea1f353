//! A scenario: who visits, what they send, how fast, over how many connections.
//!
//! In: a TOML file. Out: values that were checked, so that nothing later can fail on them. Together with a seed a
//! scenario says every byte that is sent, and when; only the answers are the system's.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Hits of one request that an edge takes.
const MOST_HITS_PER_REQUEST: u32 = 100;
/// The greatest age of a hit without the API secret, milliseconds.
const MOST_AGE_MS: u32 = 259_200_000;

/// The whole scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// How fast, how long.
    pub load: Load,
    /// How it is sent.
    pub connections: Connections,
    /// Who visits what.
    pub traffic: Traffic,
}

/// How fast hits are sent, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Phases one after the other: one is a constant rate, several are steps.
    pub phases: Vec<Phase>,
    /// Short bursts on top of the phases.
    pub spikes: Option<Spikes>,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
}

/// A time of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How long, seconds.
    pub seconds: f64,
    /// How fast.
    pub hits_per_second: f64,
}

/// Bursts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spikes {
    /// From the beginning of one to that of the next, seconds. The first begins after this time.
    pub every_s: f64,
    /// How long each lasts, seconds.
    pub for_s: f64,
    /// The rate of the phase times this, meanwhile.
    pub factor: f64,
}

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independent of each other, as visitors are: exponential gaps.
    Poisson,
    /// Equal gaps.
    Even,
}

/// How it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Threads of the generator, each with a share of the rate and of the connections.
    pub threads: u32,
    /// Connections in all, kept alive.
    pub count: u32,
    /// 1: HTTP/1.1; 2: HTTP/2 without TLS (prior knowledge).
    pub http: u8,
    /// HTTP/2 only: requests at once on a connection.
    pub streams: u32,
    /// Hits of a request, 1 to 100; all of one property.
    pub hits_per_request: u32,
    /// Requests that wait for a free connection at most, all threads together; at the limit they are not sent, and counted.
    pub max_waiting: u32,
    /// A request without an answer for this long is given up, milliseconds.
    pub timeout_ms: u32,
    /// Keep times to microseconds instead of milliseconds: threads wait by looking at the clock, and keep a core busy each.
    pub precise: bool,
}

/// Who visits what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traffic {
    /// Properties, 1 to 1,000,000.
    pub properties: u32,
    /// Exponent of their popularity (Zipf); 0: all alike.
    pub property_exponent: f64,
    /// Different pages, over all properties.
    pub pages: u32,
    /// Exponent of their popularity within a property.
    pub page_exponent: f64,
    /// Different user agents.
    pub user_agents: u32,
    /// Hits of a visit, mean.
    pub hits_per_visit: u32,
    /// Share of hits that an earlier visitor sends, 0 to 1.
    pub returning: f64,
    /// How visitors are told apart: by a client id, or by address and user agent (then all hits of a request are one visitor's).
    pub identity: Identity,
    /// Share of requests by crawlers, 0 to 1.
    pub bots: f64,
    /// Share of hits that come late, 0 to 1, and how late at most, milliseconds.
    pub late: f64,
    /// The greatest age of a late hit, milliseconds; at most 72 h.
    pub late_max_ms: u32,
    /// Share of requests that are sent a second time as they are, 0 to 1.
    pub repeated_requests: f64,
    /// Share of requests that hold their first hit twice, 0 to 1.
    pub repeated_hits: f64,
}

/// How visitors are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// By `client_id`.
    ClientId,
    /// By address and user agent.
    Cookieless,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            phases: vec![Phase { seconds: 60.0, hits_per_second: 2_000.0 }],
            spikes: None,
            arrivals: Arrivals::Poisson,
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            threads: 1,
            count: 256,
            http: 1,
            streams: 16,
            hits_per_request: 1,
            max_waiting: 100_000,
            timeout_ms: 30_000,
            precise: false,
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            properties: 1_000,
            property_exponent: 1.0,
            pages: 200_000,
            page_exponent: 1.0,
            user_agents: 5_000,
            hits_per_visit: 5,
            returning: 0.2,
            identity: Identity::ClientId,
            bots: 0.02,
            late: 0.01,
            late_max_ms: 3_600_000,
            repeated_requests: 0.005,
            repeated_hits: 0.005,
        }
    }
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, a field is unknown, or a value is out of its range; the field and the range are named.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no scenario", path.display()))
    }

    /// Parses and checks a text.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// How long it takes, seconds.
    pub fn seconds(&self) -> f64 {
        self.load.phases.iter().map(|phase| phase.seconds).sum()
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.load.phases.is_empty(), "load.phases is empty; give at least one phase");
        for phase in &self.load.phases {
            within("load.phases.seconds", phase.seconds, 0.1, 1e6)?;
            within("load.phases.hits_per_second", phase.hits_per_second, 0.001, 1e8)?;
        }
        if let Some(spikes) = &self.load.spikes {
            within("load.spikes.every_s", spikes.every_s, 0.1, 1e6)?;
            within("load.spikes.for_s", spikes.for_s, 0.001, spikes.every_s)?;
            within("load.spikes.factor", spikes.factor, 0.001, 1e6)?;
        }
        self.connections.check()?;
        self.traffic.check()
    }
}

impl Connections {
    fn check(&self) -> anyhow::Result<()> {
        within("connections.threads", self.threads.into(), 1.0, 64.0)?;
        within("connections.count", self.count.into(), self.threads.into(), 60_000.0)?;
        ensure!(matches!(self.http, 1 | 2), "connections.http is {}; use 1 or 2", self.http);
        within("connections.streams", self.streams.into(), 1.0, 1_000.0)?;
        within(
            "connections.hits_per_request",
            self.hits_per_request.into(),
            1.0,
            MOST_HITS_PER_REQUEST.into(),
        )?;
        within("connections.max_waiting", self.max_waiting.into(), 1.0, 10_000_000.0)?;
        within("connections.timeout_ms", self.timeout_ms.into(), 1.0, 3_600_000.0)
    }
}

impl Traffic {
    fn check(&self) -> anyhow::Result<()> {
        within("traffic.properties", self.properties.into(), 1.0, 1_000_000.0)?;
        within("traffic.property_exponent", self.property_exponent, 0.0, 10.0)?;
        within("traffic.pages", self.pages.into(), 1.0, 10_000_000.0)?;
        within("traffic.page_exponent", self.page_exponent, 0.0, 10.0)?;
        within("traffic.user_agents", self.user_agents.into(), 1.0, 100_000.0)?;
        within("traffic.hits_per_visit", self.hits_per_visit.into(), 1.0, 100_000.0)?;
        within("traffic.late_max_ms", self.late_max_ms.into(), 1.0, MOST_AGE_MS.into())?;
        for (name, share) in [
            ("traffic.returning", self.returning),
            ("traffic.bots", self.bots),
            ("traffic.late", self.late),
            ("traffic.repeated_requests", self.repeated_requests),
            ("traffic.repeated_hits", self.repeated_hits),
        ] {
            within(name, share, 0.0, 1.0)?;
        }
        Ok(())
    }
}

fn within(field: &str, value: f64, least: f64, most: f64) -> anyhow::Result<()> {
    ensure!(value >= least && value <= most, "{field} is {value}; it must lie between {least} and {most}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_scenario_reads_back() {
        let text = toml::to_string(&Scenario::default()).unwrap();
        assert_eq!(Scenario::parse(&text).unwrap(), Scenario::default());
    }

    #[test]
    fn wrong_values_are_named_with_their_range() {
        for (text, part) in [
            ("[traffic]\nbots = 1.5", "traffic.bots is 1.5; it must lie between 0 and 1"),
            ("[connections]\nhits_per_request = 101", "connections.hits_per_request is 101"),
            ("[load]\nphases = []", "load.phases is empty"),
            ("[connections]\nhttp = 3", "connections.http is 3; use 1 or 2"),
            ("[traffic]\nvisitors = 3", "unknown field `visitors`"),
        ] {
            let error = format!("{:#}", Scenario::parse(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
