//! What the client sends: request number *n* is a function of the seed and *n*, so that a repeat is the same to the letter.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::time::Duration;

use crate::system::command::Property;

/// Hits of a request: 1 to this.
const MOST_HITS: u64 = 19;
/// Mean of that.
pub(super) const MEAN_HITS: u32 = 10;
/// One request in so many is of a bot, is sent again after it was answered, or holds its first hit twice.
const BOT_ONE_IN: u64 = 25;
const SENT_AGAIN_ONE_IN: u64 = 20;
const TWICE_ONE_IN: u64 = 10;
/// One hit in so many is of the day before, more or less.
const LATE_ONE_IN: u64 = 20;
const LATE_MS: std::ops::Range<u64> = 18 * 3_600_000..30 * 3_600_000;
/// Clients of a property at one edge.
const CLIENTS: u64 = 30;
const EVENTS: [&str; 4] = [PAGE_VIEW, PAGE_VIEW, "click", PURCHASE];
pub(super) const PURCHASE: &str = "purchase";
/// What each purchase brings, euros: sums of it are exact in binary.
pub(super) const PRICE: f64 = 1.25;
/// How many things each purchase is of.
pub(super) const QUANTITY: u32 = 2;
/// How far each click's page was read, percent.
pub(super) const DEPTH: f64 = 28.0;
pub(super) const PAGE_VIEW: &str = "page_view";

/// Zones without daylight saving, and their offsets (2025a), seconds: local midnight is at different hours for each.
pub(crate) const ZONES: [(&str, i64); 6] = [
    ("UTC", 0),
    ("Asia/Kolkata", 19_800),
    ("America/Phoenix", -25_200),
    ("Asia/Kathmandu", 20_700),
    ("Pacific/Kiritimati", 50_400),
    ("Pacific/Pago_Pago", -39_600),
];

/// Whom hits belong to.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) property: Property,
    /// Of its zone.
    pub(crate) utc_offset_s: i64,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    /// Hits with different ids, at least: as many more as leave until the last kill is done.
    pub(crate) hits: u64,
    pub(crate) sites: Vec<Site>,
    /// The hits would last this long at the steady pace.
    pub(crate) steady_for: Duration,
    /// Every request goes to the other edge too, when it was answered: with the same ids.
    pub(crate) at_both_edges: bool,
}

/// One request.
pub(super) struct Request {
    pub(super) site: usize,
    /// The edge it goes to first: always the same for a client.
    pub(super) edge: usize,
    pub(super) is_bot: bool,
    pub(super) hits: Vec<HitOf>,
    pub(super) has_first_twice: bool,
    pub(super) is_sent_again: bool,
}

pub(super) struct HitOf {
    pub(super) id: String,
    pub(super) client: String,
    pub(super) event: &'static str,
    pub(super) age_ms: u64,
}

impl Request {
    /// Hits as sent, the one that is there twice included.
    pub(super) fn length(&self) -> u64 {
        u64::try_from(self.hits.len()).unwrap() + u64::from(self.has_first_twice)
    }
}

impl Workload {
    /// What request `number` holds: always the same.
    pub(super) fn request(&self, number: u64, edges: usize) -> Request {
        // An odd factor: different numbers give different seeds.
        let mut random = StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let one_in = |random: &mut StdRng, count: u64| random.random_range(0..count) == 0;
        let site = random.random_range(0..self.sites.len());
        let edge = random.random_range(0..edges);
        let is_bot = one_in(&mut random, BOT_ONE_IN);
        let has_first_twice = one_in(&mut random, TWICE_ONE_IN);
        let is_sent_again = one_in(&mut random, SENT_AGAIN_ONE_IN);
        let count = random.random_range(1..=MOST_HITS);
        let hits = (0..count)
            .map(|index| {
                let id = format!("{:x}-{number}-{index}", self.seed);
                let client = random.random_range(0..CLIENTS);
                let event = EVENTS[random.random_range(0..EVENTS.len())];
                // A late hit is a session of its own, so it has a client of its own.
                if one_in(&mut random, LATE_ONE_IN) {
                    HitOf { client: format!("late-{id}"), id, event, age_ms: random.random_range(LATE_MS) }
                } else {
                    HitOf { id, client: format!("client-{edge}-{client}"), event, age_ms: 0 }
                }
            })
            .collect();
        Request { site, edge, is_bot, hits, has_first_twice, is_sent_again }
    }

    pub(super) fn body(&self, request: &Request) -> Bytes {
        let twice = request.hits.first().filter(|_| request.has_first_twice);
        let hits: Vec<Value> = request
            .hits
            .iter()
            .chain(twice)
            .map(|hit| {
                json!({
                    "event": hit.event, "url": "https://shop.example/a", "client_id": hit.client, "id": hit.id,
                    "age_ms": hit.age_ms, "params": params_of(hit.event), "items": items_of(hit.event),
                })
            })
            .collect();
        let measurement_id = &self.sites[request.site].property.measurement_id;
        Bytes::from(json!({"measurement_id": measurement_id, "hits": hits}).to_string())
    }
}

fn items_of(event: &str) -> Value {
    let price = PRICE / f64::from(QUANTITY);
    let item = json!({"item_id": "SKU-1", "price": price, "quantity": QUANTITY});
    if event == PURCHASE { json!([item]) } else { json!([]) }
}

fn params_of(event: &str) -> Value {
    match event {
        PURCHASE => json!({"value": PRICE, "currency": "EUR"}),
        "click" => json!({"scroll_depth": DEPTH}),
        _ => json!({}),
    }
}
