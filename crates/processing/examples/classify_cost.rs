//! What it costs to find out what a user agent is, with the real rules: prints `{"classify_cached_ns": …, …}`, of one thread per hit.
//!
//! `classify_cost ASSETS`, the folder that `--assets` of the services names. Cached: browsers with hints that were seen before. Uncached: each
//! user agent is new, as in the first seconds of a busy site; with hints: each pair is new, its user agent is not.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use hit::HintsView;
use processing::Detection;

const CACHED: u32 = 1_000_000;
const UNCACHED: u32 = 10_000;

fn user_agent(n: u32) -> String {
    format!(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{n}.0 Safari/537.36",
        100 + n % 43
    )
}

fn hints(platform_version: &str) -> Option<HintsView<'_>> {
    let brands = "Chromium 142, Google Chrome 142";
    Some(HintsView { brands, platform: "Windows", platform_version, model: "", mobile: Some(false) })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = std::env::args().nth(1) else { return Err("usage: classify_cost ASSETS".into()) };
    let read = |path: &str| std::fs::read_to_string(Path::new(&folder).join(path));
    let rules = read("uap-core/regexes.yaml")?;
    let detection = Detection::new(&rules, &read("crawler-user-agents/crawler-user-agents.json")?)?;
    let user_agents: Vec<String> = (0..UNCACHED).map(user_agent).collect();
    let versions: Vec<String> = (0..UNCACHED).map(|n| format!("{}.0.0", n + 1)).collect();
    let per = |time: Duration, hits: u32| time.as_nanos() / u128::from(hits);

    let begun = Instant::now();
    for user_agent in &user_agents {
        black_box(detection.classify(black_box(user_agent), None));
    }
    let uncached = per(begun.elapsed(), UNCACHED);
    let begun = Instant::now();
    for version in &versions {
        black_box(detection.classify(black_box(&user_agents[0]), hints(version)));
    }
    let with_hints = per(begun.elapsed(), UNCACHED);
    let begun = Instant::now();
    for (_, user_agent) in (0..CACHED).zip(user_agents.iter().cycle()) {
        black_box(detection.classify(black_box(user_agent), None));
    }
    let cached = per(begun.elapsed(), CACHED);
    let begun = Instant::now();
    for (_, version) in (0..CACHED).zip(versions.iter().cycle()) {
        black_box(detection.classify(black_box(&user_agents[0]), hints(version)));
    }
    println!(
        "{{\"classify_cached_ns\": {cached}, \"classify_cached_with_hints_ns\": {}, \"classify_uncached_ns\": {uncached}, \
         \"classify_uncached_hints_ns\": {with_hints}}}",
        per(begun.elapsed(), CACHED)
    );
    Ok(())
}
