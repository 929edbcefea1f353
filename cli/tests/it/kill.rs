//! Every service is killed while it has work in hand, and what was acknowledged is reported, once.
//!
//! A seeded client sends hits with ids to 100 properties over several connections, repeats what was not answered, and
//! some of what was. Meanwhile each service is stopped (SIGSTOP), looked at from outside, and killed (SIGKILL) if it
//! has work in hand; if not it goes on and is drawn again a little later. In the end the reports of each property are
//! compared with what the client counted, and `status` with what it had answered.

mod victim;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::system::command::Property;
use crate::system::process::Stopped;
use crate::system::{Options, System};
use crate::traffic::{Expected, Traffic, Workload, check_reports};
use victim::{Moment, Victim};

const PROPERTIES: usize = 100;
const FULL_HITS: u64 = 100_000;
const FEWER_HITS: u64 = 30_000;
/// The hits would last this long at the steady pace.
const STEADY_FOR: Duration = Duration::from_secs(100);
/// Every victim dies this often, or until the time of a soak is over.
const ROUNDS: u32 = 2;
/// Between two kills of a soak, so that there is also time in which nothing is broken.
const SOAK_PAUSE: Duration = Duration::from_secs(3);
/// A victim without work in hand this often in a row is no chance any more.
const MAX_DRAWS: u32 = 600;

#[test]
fn acknowledged_hits_are_reported_once_whatever_is_killed() {
    let soak = soak_time();
    // As many hits a second as in the short run.
    let hits = FULL_HITS * soak.as_secs().max(STEADY_FOR.as_secs()) / STEADY_FOR.as_secs();
    survive(&Options { processes: true, ..Options::default() }, hits, soak);
}

#[test]
fn two_loaders_that_are_killed_count_once() {
    survive(&Options { processes: true, loaders: 2, ..Options::default() }, variant_hits(), Duration::ZERO);
}

#[test]
fn loaders_without_a_feed_find_everything_by_listing() {
    survive(
        &Options { processes: true, without_feed: true, ..Options::default() },
        variant_hits(),
        Duration::ZERO,
    );
}

/// The variants send fewer hits than the main test, unless there is time.
fn variant_hits() -> u64 {
    if std::env::var_os("MERIDIAN_TEST_LONG").is_some_and(|value| value == "1") {
        FULL_HITS
    } else {
        FEWER_HITS
    }
}

/// A kill that happened.
struct Kill {
    victim: String,
    draws: u32,
    evidence: String,
}

/// `make soak` sets the minutes.
fn soak_time() -> Duration {
    let minutes = std::env::var("MERIDIAN_SOAK_MINUTES").map_or(0, |text| {
        text.parse().unwrap_or_else(|_| panic!("MERIDIAN_SOAK_MINUTES is {text:?}: give whole minutes"))
    });
    Duration::from_secs(60 * minutes)
}

fn survive(options: &Options, hits: u64, soak: Duration) {
    let seed = seed();
    eprintln!("seed {seed} (MERIDIAN_TEST_SEED={seed} draws the same hits and pauses again)");
    let system = System::start(options);
    let properties: Vec<Property> = (0..PROPERTIES).map(|_| system.create_property(&[])).collect();
    let measurement_ids = properties.iter().map(|property| property.measurement_id.clone()).collect();
    let workload = Workload { seed, hits, measurement_ids, steady_for: STEADY_FOR.max(soak) };
    let traffic = Traffic::start(&system, workload);

    let mut random = StdRng::seed_from_u64(seed);
    let mut kills = Vec::new();
    let mut recovered = Moment::now();
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS || begun.elapsed() < soak {
        rounds += 1;
        let mut victims = victim::all(options.loaders);
        victims.shuffle(&mut random);
        for victim in victims {
            kills.push(kill_at_work(&system, &traffic, victim, recovered, &mut random));
            recovered = Moment::now();
            if !soak.is_zero() {
                eprintln!("{} of {} s, {} kills", begun.elapsed().as_secs(), soak.as_secs(), kills.len());
                std::thread::sleep(SOAK_PAUSE);
            }
        }
    }
    print_kills(&kills);
    let expected = traffic.finish(&system);
    eprintln!("{}", expected.summary());
    let status = system.settle();
    check_reports(&system, &properties, &expected);
    check_accounting(&status, &expected);
}

/// From the environment, to repeat a run; else new each time.
fn seed() -> u64 {
    match std::env::var("MERIDIAN_TEST_SEED") {
        Ok(text) => text.parse().expect("MERIDIAN_TEST_SEED is a number"),
        Err(_) => getrandom::u64().unwrap(),
    }
}

/// Draws until the victim has work in hand, kills it, and waits until it is there again.
fn kill_at_work(
    system: &System,
    traffic: &Traffic,
    victim: Victim,
    recovered: Moment,
    random: &mut StdRng,
) -> Kill {
    let name = victim.child();
    victim.wait_until_at_work(system);
    for draws in 1..=MAX_DRAWS {
        assert!(!traffic.is_over(), "all hits were sent before {name} could be killed at work");
        let Some(pid) = system.children().get(name).copied() else { continue };
        let before = victim.look_before(system, recovered.unix_ms());
        let moment = Moment::now();
        let Some(stopped) = Stopped::stop(pid) else { continue };
        if let Some(evidence) = victim.work_in_hand(system, traffic, &before, moment) {
            stopped.kill();
            system.wait_until_ready_again(name, pid);
            return Kill { victim: name.to_owned(), draws, evidence };
        }
        drop(stopped);
        // A draw at a random moment, not a wait for something.
        std::thread::sleep(Duration::from_millis(random.random_range(5..120)));
    }
    panic!("{name} had no work in hand in {MAX_DRAWS} draws");
}

fn print_kills(kills: &[Kill]) {
    let mut table = comfy_table::Table::new();
    table.set_header(["killed", "draws", "work in hand"]);
    for kill in kills {
        table.add_row([&kill.victim, &kill.draws.to_string(), &kill.evidence]);
    }
    eprintln!("{table}");
}

/// Every hit that the edge acknowledged is counted, or a repeat; none is lost under way.
fn check_accounting(status: &Value, expected: &Expected) {
    let count = |name: &str| status["hits"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"));
    assert_eq!(status["pending"], json!(0), "{status}");
    assert_eq!(count("loaded"), count("acknowledged"), "{status}");
    assert_eq!(count("acknowledged") - count("repeated"), expected.unique_hits(), "{status}");
    // The edge may have committed a hit and died before it answered.
    assert!(count("acknowledged") >= expected.acknowledged_hits(), "{status}");
    assert!(count("repeated") >= expected.repeated_on_purpose(), "{status}");
    let dropped: u64 =
        status["hits"]["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(dropped, 0, "{status}");
    assert_eq!(status["hits"]["by_class"], expected.by_class(), "{status}");
}
