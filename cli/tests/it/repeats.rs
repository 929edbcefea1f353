//! A hit that comes again is counted once: after restarts of either kind, inside one request, and with a full memory for
//! ids only those that were forgotten count again, exactly as many as a model of the client's says.

use std::collections::{BTreeSet, VecDeque};

use http::StatusCode;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::system::command::Property;
use crate::system::process::Stopped;
use crate::system::{Options, System, new_directory};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
/// What an id takes of `id_window_bytes`, as the configuration's description says.
const BYTES_PER_ID: usize = 48;

#[test]
fn a_repeat_after_a_graceful_restart_is_counted_once() {
    let data = new_directory();
    let options = Options { processes: true, ..Options::default() };
    let ids: Vec<String> = (0..60).map(|number| format!("hit-{number}")).collect();
    let (property, twice) = {
        let mut system = System::start_in(data.path(), &options);
        let property = system.create_property(&[]);
        // The last of them twice in one request.
        let twice = [ids.as_slice(), &ids[59..]].concat();
        send(&system, &property, &twice);
        system.settle();
        system.restart_gracefully("edge");
        send(&system, &property, &twice);
        system.stop();
        (property, twice)
    };
    let system = System::start_in(data.path(), &options);
    send(&system, &property, &twice);
    let status = system.settle();
    assert_eq!(events(&system, &property), 60);
    let hits = &status["hits"];
    assert_eq!((&hits["acknowledged"], &hits["repeated"]), (&json!(183), &json!(123)), "{status}");
}

/// What an edge remembers: the ids it counted last, in WAL order. A repeat changes nothing.
struct Memory {
    holds: usize,
    ids: VecDeque<(usize, u32)>,
}

impl Memory {
    /// Whether this one is counted.
    fn take(&mut self, id: (usize, u32)) -> bool {
        if self.ids.contains(&id) {
            return false;
        }
        self.ids.push_back(id);
        if self.ids.len() > self.holds {
            self.ids.pop_front();
        }
        true
    }
}

#[test]
fn with_a_full_memory_exactly_the_forgotten_ids_are_counted_again() {
    const HOLDS: usize = 150;
    const REQUESTS: u32 = 240;
    let seed = getrandom::u64().unwrap();
    eprintln!("seed {seed}");
    let system = System::start(&Options { processes: true, ..Options::default() });
    system.configure("edge", |edge| {
        let limits = edge["process"]["limits"].as_table_mut().unwrap();
        let bytes = i64::try_from(HOLDS * BYTES_PER_ID).unwrap();
        limits.insert("id_window_bytes".to_owned(), bytes.into());
    });
    system.restart_gracefully("edge");
    // The same ids at two properties are different hits.
    let properties = [system.create_property(&[]), system.create_property(&[])];
    let mut random = StdRng::seed_from_u64(seed);
    let mut memory = Memory { holds: HOLDS, ids: VecDeque::new() };
    let (mut counted, mut sent, mut different) = ([0, 0], 0, BTreeSet::new());
    // One request after the other: so the order of ids in the WAL is known.
    for request in 0..REQUESTS {
        let site = random.random_range(0..2);
        // A pool that moves on: most ids come again soon, some after they were forgotten.
        let ids: Vec<u32> = (0..8).map(|_| request + random.random_range(0..120)).collect();
        for id in &ids {
            sent += 1;
            counted[site] += u64::from(memory.take((site, *id)));
            different.insert((site, *id));
        }
        let ids: Vec<String> = ids.iter().map(|id| format!("id-{id}")).collect();
        send(&system, &properties[site], &ids);
        // What was flushed comes back from the state, what was not from the WAL.
        match request {
            80 | 200 => kill(&system),
            140 => system.restart_gracefully("edge"),
            _ => {}
        }
    }
    let status = system.settle();
    let all = counted[0] + counted[1];
    let forgotten = all - u64::try_from(different.len()).unwrap();
    eprintln!(
        "{sent} hits of {} ids sent, {} recognised, {forgotten} forgotten and counted again",
        different.len(),
        sent - all
    );
    assert!(forgotten > 0, "nothing was forgotten: the window was never full");
    assert_eq!(properties.each_ref().map(|property| events(&system, property)), counted);
    assert_eq!(status["hits"]["repeated"], json!(sent - all), "{status}");
    let remembered = system.metric_of("edge", "edge_process_id_window_entries");
    assert_eq!(remembered, Some(u64::try_from(HOLDS).unwrap()));
}

fn kill(system: &System) {
    let pid = system.children()["edge"];
    Stopped::stop(pid).unwrap().kill();
    system.wait_until_ready_again("edge", pid);
}

/// One request with a click for each id.
fn send(system: &System, property: &Property, ids: &[String]) {
    let hits: Vec<Value> =
        ids.iter().map(|id| json!({"event": "click", "client_id": "one", "id": id})).collect();
    let body = json!({"measurement_id": property.measurement_id, "hits": hits});
    let (status, answer) = system.collect(&body, &[("user-agent", HUMAN)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}

/// Since yesterday: the test may run at midnight.
fn events(system: &System, property: &Property) -> u64 {
    let report = system.report(property, "--from yesterday --metrics events");
    report["totals"]["events"].as_u64().unwrap()
}
