//! What it costs to find out what a user agent is, with the real rules: prints microseconds of one thread per hit, `{"classify_seen_us":0.1,…}`.
//!
//! `classify_cost ASSETS`, the folder that `--assets` of `meridian dev` names. Seen: before, alone or with hints. New: as all are in the first
//! seconds of a busy site; new hints: their user agent was seen before.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use hit::HintsView;
use processing::Detection;

const SEEN: u32 = 1_000_000;
const NEW: u32 = 10_000;

fn user_agent(n: u32) -> String {
    format!(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{n}.0 Safari/537.36",
        100 + n % 43
    )
}

fn hints(platform_version: &str) -> Option<HintsView<'_>> {
    let brands = "Chromium 142, Google Chrome 142";
    Some(HintsView { brands, platform: "Windows", platform_version, mobile: Some(false) })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = std::env::args().nth(1) else { return Err("usage: classify_cost ASSETS".into()) };
    let read = |path: &str| std::fs::read_to_string(Path::new(&folder).join(path));
    let rules = read("uap-core/regexes.yaml")?;
    let detection = Detection::new(&rules, &read("crawler-user-agents/crawler-user-agents.json")?)?;
    let user_agents: Vec<String> = (0..NEW).map(user_agent).collect();
    let versions: Vec<String> = (0..NEW).map(|n| format!("{}.0.0", n + 1)).collect();
    let per = |begun: Instant, hits: u32| {
        let us = begun.elapsed().as_secs_f64() * 1e6 / f64::from(hits);
        (us * 1000.0).round() / 1000.0
    };

    let begun = Instant::now();
    for user_agent in &user_agents {
        black_box(detection.classify(black_box(user_agent), None));
    }
    let new = per(begun, NEW);
    let begun = Instant::now();
    for version in &versions {
        black_box(detection.classify(black_box(&user_agents[0]), hints(version)));
    }
    let new_hints = per(begun, NEW);
    let begun = Instant::now();
    for (_, user_agent) in (0..SEEN).zip(user_agents.iter().cycle()) {
        black_box(detection.classify(black_box(user_agent), None));
    }
    let seen = per(begun, SEEN);
    let begun = Instant::now();
    for (_, version) in (0..SEEN).zip(versions.iter().cycle()) {
        black_box(detection.classify(black_box(&user_agents[0]), hints(version)));
    }
    let seen_with_hints = per(begun, SEEN);
    println!(
        "{{\"classify_seen_us\": {seen}, \"classify_seen_with_hints_us\": {seen_with_hints}, \"classify_new_us\": {new}, \
         \"classify_new_hints_us\": {new_hints}}}"
    );
    Ok(())
}
