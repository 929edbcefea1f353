//! The accounts of all services, from their metrics: at each, in = out + dropped + queued; and while no process died, what
//! went out of one went into the next.
//!
//! To be asked when nothing is under way. Services of one process are asked over the same registry as children are over
//! theirs. What an edge counts runs on over restarts, what hubs and loaders count begins anew.

use std::fmt::Write;
use std::time::Duration;

use super::System;
use super::process::{sum_of_samples, wait_for};

/// Acknowledgements of what reports show already may be on their way; a hub that died makes its edges wait and try again.
const AT_REST_WITHIN: Duration = Duration::from_secs(90);

/// What a service counts: hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub(crate) hits_in: u64,
    pub(crate) out: u64,
    pub(crate) dropped: u64,
    pub(crate) queued: u64,
}

impl Accounts {
    /// From `/metrics`; `None` when one of the four is missing.
    fn parse(metrics: &str, kind: &str) -> Option<Self> {
        let sum = |name: &str| sum_of_samples(metrics, &format!("{kind}_hits_{name}"));
        Some(Self {
            hits_in: sum("in_total")?,
            out: sum("out_total")?,
            dropped: sum("dropped_total")?,
            queued: sum("queued")?,
        })
    }

    fn add_up(self) -> bool {
        self.hits_in == self.out + self.dropped + self.queued
    }
}

/// Everything that is asked of one service at once.
#[derive(Debug)]
struct Service {
    name: String,
    accounts: Accounts,
    /// An edge's: batches that it sent, and those of them that were acknowledged.
    sent: Option<(u64, u64)>,
}

impl System {
    /// The accounts of a child: `edge`, `hub-2`, `loader` …
    pub(crate) fn accounts_of(&self, child: &str) -> Option<Accounts> {
        Accounts::parse(&self.metrics_text(child)?, kind(child))
    }

    /// Waits until nothing is queued anywhere, and compares the accounts.
    ///
    /// # Panics
    /// When they do not add up, or one service gave on something else than the one before.
    pub(crate) fn check_accounts(&self) {
        let mut seen = None;
        let at_rest = wait_for(AT_REST_WITHIN, || {
            let services = self.all_accounts()?;
            let is_over = services.iter().all(|service| service.accounts.queued == 0);
            let adds_up = services.iter().all(|service| service.accounts.add_up());
            seen = Some(shown(&services));
            (is_over && adds_up).then_some(services)
        });
        let services = at_rest.unwrap_or_else(|| {
            panic!("the accounts do not add up, or hits stay queued: {}", seen.unwrap_or_default())
        });
        if self.nothing_died() {
            check_passages(&services).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }

    /// `None` while one of them cannot be asked.
    fn all_accounts(&self) -> Option<Vec<Service>> {
        let names = self.ready()["pids"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let counting = names.filter(|name| ["edge", "hub", "loader"].contains(&kind(name)));
        counting
            .map(|name| {
                let text = self.metrics_text(name)?;
                let sent = sum_of_samples(&text, "edge_ship_batches_total")
                    .zip(sum_of_samples(&text, "edge_ship_acks_total"));
                let accounts = Accounts::parse(&text, kind(name))?;
                Some(Service { name: name.clone(), accounts, sent: sent.filter(|_| kind(name) == "edge") })
            })
            .collect()
    }

    fn metrics_text(&self, child: &str) -> Option<String> {
        let answer = self.get(&format!("{}/metrics", self.admin_of(child))).ok()?;
        String::from_utf8(answer.body.to_vec()).ok()
    }

    /// Whether the data directory was new at start, and every process is still the one that was started.
    fn nothing_died(&self) -> bool {
        let running = self.children();
        let began_as = self.ready()["pids"].as_object().unwrap();
        self.data_was_new()
            && running.iter().all(|(name, pid)| began_as.get(name).is_some_and(|began| *began == *pid))
    }
}

/// What the edges took is what the hubs took and what each loader took.
fn check_passages(services: &[Service]) -> Result<(), String> {
    let of = |wanted: &str| -> Vec<&Service> {
        services.iter().filter(|service| kind(&service.name) == wanted).collect()
    };
    let total = |services: &[&Service]| -> u64 { services.iter().map(|of| of.accounts.hits_in).sum() };
    let (edges, hubs) = (of("edge"), of("hub"));
    let told = shown(services);
    let sent_twice = edges
        .iter()
        .filter_map(|edge| edge.sent)
        .map(|(sent, acknowledged)| sent - acknowledged)
        .sum::<u64>();
    let (at_edges, at_hubs) = (total(&edges), total(&hubs));
    if at_hubs < at_edges || (at_hubs > at_edges && sent_twice == 0) {
        return Err(format!(
            "edges took {at_edges}, hubs {at_hubs} ({sent_twice} batches were sent twice): {told}"
        ));
    }
    match of("loader").iter().find(|loader| loader.accounts.hits_in != at_edges) {
        Some(loader) => Err(format!("edges took {at_edges}, {} another number: {told}", loader.name)),
        None => Ok(()),
    }
}

/// `hub` of `hub-2`.
fn kind(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

fn shown(services: &[Service]) -> String {
    services.iter().fold(String::new(), |mut text, service| {
        let Accounts { hits_in, out, dropped, queued } = service.accounts;
        let _ = write!(
            text,
            "\n  {}: in {hits_in} = out {out} + dropped {dropped} + queued {queued}",
            service.name
        );
        text
    })
}

#[test]
fn accounts_that_do_not_add_up_are_noticed() {
    let metrics = "hub_hits_in_total 10\nhub_hits_out_total 6\nhub_hits_dropped_total{reason=\"a\"} 1\n\
                   hub_hits_dropped_total{reason=\"b\"} 2\nhub_hits_queued 1\n";
    assert!(Accounts::parse(metrics, "hub").unwrap().add_up());
    let lost = metrics.replace("hub_hits_out_total 6", "hub_hits_out_total 5");
    assert!(!Accounts::parse(&lost, "hub").unwrap().add_up());
    assert_eq!(Accounts::parse(&lost.replace("hub_hits_queued 1\n", ""), "hub"), None);
}

#[test]
fn a_hit_that_was_lost_between_two_services_is_noticed() {
    let service = |name: &str, hits: u64, sent| {
        let accounts = Accounts { hits_in: hits, out: hits, dropped: 0, queued: 0 };
        Service { name: name.to_owned(), accounts, sent }
    };
    let fair = |hub_2: u64, loader: u64| {
        [
            service("edge", 5, Some((4, 4))),
            service("edge-2", 7, Some((2, 2))),
            service("hub", 8, None),
            service("hub-2", hub_2, None),
            service("loader", loader, None),
        ]
    };
    assert_eq!(check_passages(&fair(4, 12)), Ok(()));
    for wrong in [fair(3, 12), fair(5, 12), fair(4, 11)] {
        assert!(check_passages(&wrong).is_err(), "{}", shown(&wrong));
    }
}
