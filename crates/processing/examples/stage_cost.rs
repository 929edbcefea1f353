//! What each stage of processing costs per hit, on one thread: prints `{"stage_deduplicate_us":0.1,…}`.
//!
//! `stage_cost ASSETS` (the folder with uap-core and crawler-user-agents). Two hundred thousand hits with ids, in blocks of a hundred, of
//! 20,000 visitors of 200 properties with 5,000 pages, 400 user agents and 300 cities; a seal after each 50,000.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hit::{Epoch, HitView, ParamValue, ParamView, Rules, RulesSource};
use processing::aggregate::Aggregator;
use processing::deduplicate::IdWindow;
use processing::enrich::Enricher;
use processing::fold::PageCounts;
use processing::recognise::KnownVisitors;
use processing::sessionize::Sessions;
use processing::{Detection, Limits};
use serde_json::json;

const HITS: u64 = 200_000;
const BLOCK: u64 = 100;
const SEAL: u64 = 50_000;
const AGENTS: u64 = 400;
/// 2026-06-01T00:00:00Z.
const START_MS: u64 = 1_780_272_000_000;

/// All properties have the rules of a new one.
struct Same(Arc<Rules>);

impl RulesSource for Same {
    fn rules(&self, _property_id: &str, _version: u32) -> Option<Arc<Rules>> {
        Some(Arc::clone(&self.0))
    }
}

/// The texts of a hit.
struct Texts {
    property: String,
    id: String,
    url: String,
    referrer: String,
    agent: String,
    city: String,
}

fn texts(n: u64) -> Texts {
    let visitor = n * 7919 % 20_000;
    Texts {
        property: format!("p_{:012}", visitor % 200),
        id: format!("{n:032x}"),
        url: format!("https://shop.example/catalogue/{}/item.html", n * 31 % 5_000),
        referrer: if n.is_multiple_of(3) { "https://www.google.com/" } else { "" }.to_owned(),
        agent: agent(visitor % AGENTS),
        city: format!("City {}", visitor % 300),
    }
}

fn agent(n: u64) -> String {
    format!(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{}.0 Safari/537.36",
        100 + n % 40,
        n
    )
}

fn view(n: u64, texts: &Texts) -> HitView<'_> {
    HitView {
        property_id: &texts.property,
        rules_version: 1,
        event_time_ms: START_MS + n,
        visitor_id: n * 7919 % 20_000,
        hit_id: &texts.id,
        event: if n.is_multiple_of(10) { "purchase" } else { "page_view" },
        url: &texts.url,
        referrer: &texts.referrer,
        params: vec![ParamView { key: "value", value: Some(ParamValue::Number(49.5)) }],
        country: "DE",
        city: &texts.city,
        user_agent: &texts.agent,
        ..HitView::default()
    }
}

/// Time per stage.
#[derive(Default)]
struct Spent {
    deduplicate: Duration,
    enrich: Duration,
    fold: Duration,
    sessionize: Duration,
    aggregate: Duration,
    seal: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let assets = std::path::PathBuf::from(std::env::args().nth(1).ok_or("name the folder of the assets")?);
    let read = |path: &str| std::fs::read_to_string(assets.join(path));
    let rules = read("uap-core/regexes.yaml")?;
    let crawlers = read("crawler-user-agents/crawler-user-agents.json")?;
    let detection = Arc::new(Detection::new(&rules, &crawlers)?);

    let spent = process(detection)?;
    let per_hit = |time: Duration| time.as_secs_f64() * 1e6 / HITS as f64;
    let figures = json!({
        "stage_deduplicate_us": per_hit(spent.deduplicate),
        "stage_enrich_us": per_hit(spent.enrich),
        "stage_fold_us": per_hit(spent.fold),
        "stage_sessionize_us": per_hit(spent.sessionize),
        "stage_aggregate_us": per_hit(spent.aggregate),
        "stage_seal_us": per_hit(spent.seal),
    });
    println!("{figures}");
    Ok(())
}

/// Runs the hits through the stages, block by block, each stage with its own clock.
fn process(detection: Arc<Detection>) -> Result<Spent, Box<dyn Error>> {
    let limits = Limits::default();
    let mut ids = IdWindow::new(Epoch([7; 16]), limits.id_window_bytes);
    let mut enricher = Enricher::new(detection, Arc::new(Same(Arc::new(Rules::first("Europe/Berlin")))));
    let mut pages = PageCounts::new(&limits);
    let mut visitors = KnownVisitors::new(Epoch([7; 16]), limits.max_known_visitors);
    let mut sessions = Sessions::new(limits.max_open_sessions);
    let mut aggregator = Aggregator::default();
    let mut spent = Spent::default();
    for block in 0..HITS / BLOCK {
        let numbers: Vec<u64> = (block * BLOCK..(block + 1) * BLOCK).collect();
        let owned: Vec<Texts> = numbers.iter().map(|n| texts(*n)).collect();
        let hits: Vec<HitView<'_>> = numbers.iter().zip(&owned).map(|(n, texts)| view(*n, texts)).collect();
        let now = START_MS + block * BLOCK + BLOCK;

        let begun = Instant::now();
        ids.begin_block(now);
        let repeats = hits.iter().filter(|hit| ids.is_repeat(hit.property_id, hit.hit_id, now)).count();
        assert_eq!(repeats, 0, "every id is another");
        spent.deduplicate += begun.elapsed();

        let begun = Instant::now();
        let mut enriched = hits.iter().filter_map(|hit| enricher.enrich(hit, now).ok()).collect::<Vec<_>>();
        spent.enrich += begun.elapsed();
        assert_eq!(enriched.len(), hits.len(), "no hit is dropped");

        let begun = Instant::now();
        pages.begin_block(now);
        for (hit, _) in &mut enriched {
            pages.fold(&mut hit.dimensions, &mut hit.page_title, &mut hit.custom, &mut hit.items, now);
        }
        spent.fold += begun.elapsed();

        let begun = Instant::now();
        sessions.begin_block(now);
        let mut placed = Vec::with_capacity(enriched.len());
        for (hit, arrival) in &enriched {
            let place = sessions.place(hit, || arrival.acquisition(visitors.visitor_type(hit)));
            visitors.remember(hit, place.opens_session);
            placed.push(place);
        }
        sessions.on_time(now);
        let closed = sessions.take_closed();
        spent.sessionize += begun.elapsed();

        let begun = Instant::now();
        for ((hit, _), placement) in enriched.into_iter().zip(placed) {
            aggregator.add_hit(hit, placement);
        }
        for session in closed {
            aggregator.add_session(session);
        }
        spent.aggregate += begun.elapsed();

        if ((block + 1) * BLOCK).is_multiple_of(SEAL) {
            let begun = Instant::now();
            batch::encode_rollup(&aggregator.take())?;
            spent.seal += begun.elapsed();
        }
    }
    Ok(spent)
}
