//! Every process is killed while it has work in hand, and what was acknowledged is reported, once.
//!
//! A seeded client sends hits with ids to many properties over several connections, repeats what was not answered, and
//! some of what was. Meanwhile each service is stopped (SIGSTOP), looked at from outside, and killed (SIGKILL) if it
//! has work in hand; if not it goes on and is drawn again a little later. In the end the reports of each property are
//! compared with what the client counted, `status` with what it had answered, and the accounts with each other.

mod victim;
mod traces;
mod reader;
mod table;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::system::process::Stopped;
use crate::system::{Options, System};
use crate::traffic::{Expected, Site, Traffic, Workload, ZONES, check_reports};
use reader::Reader;
use table::{Kill, Kills};
use victim::{Moment, Scene, Victim, hub_at_work};

/// The variants send fewer hits to fewer properties.
const FEWER: (usize, u64) = (100, 15_000);
/// Every process of the main test dies this often, or as often as a soak says.
const ROUNDS: u32 = 2;
/// Its hits.
const HITS: u64 = 60_000;
/// The steady pace: it leaves time for kills between hits, and hits between kills.
const HITS_PER_SECOND: u64 = 1_000;
/// Between two kills of a soak, so that there is also time in which nothing is broken.
const SOAK_PAUSE: Duration = Duration::from_secs(3);
/// A victim without work in hand this often in a row is no chance any more.
const MAX_DRAWS: u32 = 600;
/// So often the rarest state is waited for; then any will do.
const PATIENT_DRAWS: u32 = 80;

/// How long and how hard.
struct Plan {
    properties: usize,
    hits: u64,
    /// Every process dies this often at least.
    rounds: u32,
    /// Kills go on until then.
    at_least: Duration,
    /// Every hit is sent to the other edge too.
    at_both_edges: bool,
}

impl Plan {
    /// Asked for by `make soak`.
    fn is_soak(&self) -> bool {
        !self.at_least.is_zero() || self.rounds > ROUNDS
    }
}

/// Two edges and two hubs.
fn mesh() -> Options {
    Options { processes: true, edges: 2, hubs: 2, ..Options::default() }
}

#[test]
fn acknowledged_hits_are_reported_once_whatever_is_killed() {
    let at_least = Duration::from_secs(60 * from_environment("MERIDIAN_SOAK_MINUTES").unwrap_or(0));
    let hits = from_environment("MERIDIAN_SOAK_HITS").unwrap_or(HITS);
    let rounds = u32::try_from(from_environment("MERIDIAN_SOAK_KILLS").unwrap_or(ROUNDS.into())).unwrap();
    let hits = hits.max(HITS_PER_SECOND * at_least.as_secs());
    survive(&mesh(), &Plan { properties: 1_000, hits, rounds, at_least, at_both_edges: false });
}

#[test]
fn hits_that_are_repeated_at_the_other_edge_are_counted_by_both() {
    let (properties, hits) = variant();
    let plan = Plan { properties, hits, rounds: 1, at_least: Duration::ZERO, at_both_edges: true };
    survive(&Options { loaders: 2, ..mesh() }, &plan);
}

#[test]
fn loaders_without_a_feed_find_everything_by_listing() {
    let (properties, hits) = variant();
    let plan = Plan { properties, hits, rounds: 1, at_least: Duration::ZERO, at_both_edges: false };
    survive(&Options { processes: true, without_feed: true, ..Options::default() }, &plan);
}

/// Properties and hits of the variants; more if there is time.
fn variant() -> (usize, u64) {
    let is_long = std::env::var_os("MERIDIAN_TEST_LONG").is_some_and(|value| value == "1");
    if is_long { (FEWER.0, 100_000) } else { FEWER }
}

/// A number that `make soak` sets.
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number")))
}

fn survive(options: &Options, plan: &Plan) {
    let seed = from_environment("MERIDIAN_TEST_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("seed {seed} (MERIDIAN_TEST_SEED={seed} draws the same hits and pauses again)");
    let system = System::start(options);
    let zones = || ZONES.iter().cycle().take(plan.properties);
    let properties = system.create_properties(zones().map(|(zone, _)| *zone));
    let sites: Vec<Site> = properties
        .into_iter()
        .zip(zones())
        .map(|(property, (_, utc_offset_s))| Site { property, utc_offset_s: *utc_offset_s })
        .collect();
    let reader = Reader::start(&system, sites.clone());
    let steady_for = Duration::from_secs(plan.hits / HITS_PER_SECOND);
    let workload = Workload { seed, hits: plan.hits, sites, steady_for, at_both_edges: plan.at_both_edges };
    let traffic = Traffic::start(&system, workload);

    let victims = all(options);
    let kills = kill_all(&system, &traffic, &reader, &victims, plan, seed);
    kills.print(&victims);
    assert_eq!(kills.lacking(&victims), None, "was never killed in one of its states");
    let (expected, sites) = traffic.finish(&system);
    eprintln!("{}", expected.summary());
    let status = system.settle();
    assert!(reader.answered() > 0, "no report was answered meanwhile");
    drop(reader);
    check_reports(&system, &sites, &expected);
    check_accounting(&system, &status, &expected);
    if plan.at_both_edges {
        closing_note(&expected);
    }
}

/// Every process of a system.
fn all(options: &Options) -> Vec<Victim> {
    let edges = (0..options.edges).map(Victim::Edge);
    let hubs = (0..options.hubs).map(Victim::Hub);
    let loaders = (0..options.loaders).map(Victim::Loader);
    edges.chain(hubs).chain(loaders).chain([Victim::Api, Victim::Warehouse]).collect()
}

/// Kills each as often as the plan says, and for as long; then those that were not met in each of their states.
fn kill_all(
    system: &System,
    traffic: &Traffic,
    reader: &Reader,
    victims: &[Victim],
    plan: &Plan,
    seed: u64,
) -> Kills {
    let mut random = StdRng::seed_from_u64(seed);
    let mut kills = Kills::default();
    let recovered_at_ms = Moment::now().unix_ms();
    let mut scene =
        Scene { system, traffic, reader, leftovers: traces::half_written(system), recovered_at_ms };
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < plan.rounds || begun.elapsed() < plan.at_least {
        rounds += 1;
        let mut order = victims.to_vec();
        order.shuffle(&mut random);
        for victim in order {
            kill_at_work(&mut scene, victim, &mut kills, &mut random);
            if plan.is_soak() {
                eprintln!(
                    "after {} of at least {} s: {} kills",
                    begun.elapsed().as_secs(),
                    plan.at_least.as_secs(),
                    kills.len()
                );
                std::thread::sleep(SOAK_PAUSE);
            }
        }
    }
    // A hub is taken as it comes: one may have had its turn more often than the other.
    let missing = |kills: &Kills| {
        let enough = usize::try_from(plan.rounds).unwrap_or(usize::MAX);
        let too_seldom = victims.iter().copied().find(|victim| kills.of(*victim) < enough);
        too_seldom.or_else(|| kills.lacking(victims))
    };
    while let Some(victim) = missing(&kills) {
        kill_at_work(&mut scene, victim, &mut kills, &mut random);
    }
    eprintln!("{} kills in {} s", kills.len(), begun.elapsed().as_secs());
    kills
}

/// Draws until the victim has work in hand, kills it, and waits until it is there again.
fn kill_at_work(scene: &mut Scene<'_>, victim: Victim, kills: &mut Kills, random: &mut StdRng) {
    let victim = match victim {
        // Both edges may be with one hub: then the other has nothing to lose.
        Victim::Hub(_) => hub_at_work(scene.system, |hub| kills.of(hub)),
        other => other,
    };
    let (name, wanted) = (victim.child(), kills.rarest_state(victim));
    for draws in 1..=MAX_DRAWS {
        assert!(!scene.traffic.is_over(), "all hits were sent before {name} could be killed at work");
        let Some(pid) = scene.system.children().get(name).copied() else { continue };
        let before = victim.look_before(scene, wanted);
        if draws <= PATIENT_DRAWS && !before.promises(wanted) {
            pause(random);
            continue;
        }
        let moment = Moment::now();
        let Some(stopped) = Stopped::stop(pid) else { continue };
        let mut seen = victim.work_in_hand(scene, &before, moment);
        // What only the next process can tell is not waited for.
        let will_be_found = matches!(victim, Victim::Edge(_));
        let is_wanted = will_be_found || seen.iter().any(|seen| seen.state == wanted);
        if !seen.is_empty() && (is_wanted || draws > PATIENT_DRAWS) {
            stopped.kill();
            scene.system.wait_until_ready_again(name, pid);
            seen.extend(victim.found_afterwards(scene.system));
            kills.push(Kill { victim, draws, seen });
            scene.leftovers.extend(traces::half_written(scene.system));
            scene.recovered_at_ms = Moment::now().unix_ms();
            return;
        }
        drop(stopped);
        pause(random);
    }
    panic!("{name} had no work in hand in {MAX_DRAWS} draws");
}

/// Draws come at random moments; this is no wait for something.
fn pause(random: &mut StdRng) {
    std::thread::sleep(Duration::from_millis(random.random_range(5..120)));
}

/// Every hit that an edge acknowledged is counted, or a repeat; none is lost under way.
fn check_accounting(system: &System, status: &Value, expected: &Expected) {
    let count = |name: &str| status["hits"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"));
    assert_eq!(status["pending"], json!(0), "{status}");
    assert_eq!(count("loaded"), count("acknowledged"), "{status}");
    assert_eq!(count("acknowledged") - count("repeated"), expected.counted_hits(), "{status}");
    // The edge may have committed a hit and died before it answered.
    assert!(count("acknowledged") >= expected.acknowledged_hits(), "{status}");
    assert!(count("repeated") >= expected.repeated_on_purpose(), "{status}");
    let dropped: u64 =
        status["hits"]["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(dropped, 0, "{status}");
    assert_eq!(status["hits"]["by_class"], expected.by_class(), "{status}");
    // The edges' accounts, which run on over restarts, say the same: out is what is counted, dropped are repeats.
    let edges = ["edge", "edge-2"].into_iter().take(system.collect_urls().len());
    let accounts: Vec<_> = edges.map(|edge| system.accounts_of(edge).unwrap()).collect();
    assert_eq!(accounts.iter().map(|edge| edge.out).sum::<u64>(), expected.counted_hits());
    assert_eq!(accounts.iter().map(|edge| edge.dropped).sum::<u64>(), count("repeated"));
}

/// By how much live numbers exceed what was sent, as the design predicts: by the hits that both edges had.
fn closing_note(expected: &Expected) {
    let (counted, twice) = (expected.counted_hits(), expected.at_both_edges());
    let different = counted - twice;
    assert_eq!(twice, different, "every hit went to both edges");
    eprintln!(
        "live numbers hold {counted} events for {different} different ids: {twice} more ({} %), as many as were \
         sent to both edges, with a session at each; visitors are the same",
        100 * twice / different
    );
}
