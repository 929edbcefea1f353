//! Requests of a scenario: visitors, pages, agents, addresses, late and repeated hits, as a function of the seed.
//!
//! In: scenario, seed, number of the thread. Out: an endless series of requests, each with its body, its headers and what
//! it counts for. No clock, no I/O. Cheap, for the generator shares the machine: texts come from tables, the body is
//! written straight into a buffer, nothing is escaped because nothing in the tables needs it.

pub mod agents;
pub mod pages;

use std::io::Write;

use bytes::{Bytes, BytesMut};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use self::agents::Agents;
use self::pages::Pages;
use crate::scenario::{Identity, Scenario};

/// Requests kept, of which one may be sent again.
const RECENT: usize = 256;
/// Events by how often they come, in hundredths.
const EVENTS: [(&str, u32); 5] =
    [("page_view", 78), ("scroll", 12), ("add_to_cart", 6), ("begin_checkout", 3), ("purchase", 1)];
/// An unfinished visitor sends his next hit among so many others of his property at most.
const VISITORS_AT_ONCE: u64 = 16;

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Number of its property.
    pub property: u32,
    /// JSON.
    pub body: Bytes,
    /// Its user agent, as a number of [`Generator::agent`].
    pub agent: u32,
    /// The client's address, for `X-Forwarded-For`.
    pub address: [u8; 4],
    /// Hits with new ids; repeats do not count.
    pub counted: Vec<Counted>,
    /// Hits in the body, repeats included.
    pub hits: u32,
}

/// What a hit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Number of [`event_name`].
    pub event: u8,
    /// Sent by a crawler.
    pub is_bot: bool,
    /// Its age when it is received, milliseconds.
    pub age_ms: u32,
}

/// The event of this number.
pub fn event_name(event: u8) -> &'static str {
    EVENTS.get(usize::from(event)).map_or("", |(name, _)| *name)
}

/// The series of one thread.
pub struct Generator {
    scenario: Scenario,
    random: SmallRng,
    seed: u64,
    thread: u64,
    threads: u64,
    measurement_ids: Vec<String>,
    popularity: WeightedAliasIndex<f64>,
    pages: Pages,
    agents: Agents,
    /// Hits generated per property.
    hits_of: Vec<u32>,
    hits: u64,
    recent: Vec<Request>,
    body: BytesMut,
}

impl Generator {
    /// The series of thread `thread` of the scenario's threads, for properties with these measurement ids.
    ///
    /// # Panics
    /// Never for a checked scenario: its weights are positive.
    pub fn new(scenario: &Scenario, seed: u64, thread: u32, measurement_ids: Vec<String>) -> Self {
        let traffic = &scenario.traffic;
        Self {
            random: SmallRng::seed_from_u64(mix(seed, u64::from(thread))),
            seed,
            thread: thread.into(),
            threads: scenario.connections.threads.into(),
            popularity: zipf(measurement_ids.len(), traffic.property_exponent),
            pages: Pages::new(traffic.pages, traffic.page_exponent),
            agents: Agents::new(traffic.user_agents),
            hits_of: vec![0; measurement_ids.len()],
            measurement_ids,
            hits: 0,
            recent: Vec::with_capacity(RECENT),
            body: BytesMut::new(),
            scenario: scenario.clone(),
        }
    }

    /// The text of a user agent.
    pub fn agent(&self, number: u32) -> &str {
        self.agents.text(number)
    }

    /// All user agents.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The next request.
    pub fn next_request(&mut self) -> Request {
        if !self.recent.is_empty() && self.random.random_bool(self.scenario.traffic.repeated_requests) {
            let at = self.random.random_range(0..self.recent.len());
            let mut again = self.recent[at].clone();
            again.counted.clear();
            return again;
        }
        let request = self.fresh();
        if self.recent.len() < RECENT {
            self.recent.push(request.clone());
        } else {
            let at = self.random.random_range(0..RECENT);
            self.recent[at] = request.clone();
        }
        request
    }

    fn fresh(&mut self) -> Request {
        let property = self.popularity.sample(&mut self.random);
        let is_bot = self.random.random_bool(self.scenario.traffic.bots);
        let per_request = self.scenario.connections.hits_per_request;
        let mut counted = Vec::with_capacity(usize::try_from(per_request).unwrap_or(0));
        let sender = self.visitor(property);
        let agent = if is_bot { self.agents.bot(sender) } else { self.agents.human(sender) };
        // Room for the longest hits; what is left stays for the next request.
        self.body.reserve(per_request as usize * 512 + 128);
        self.body.extend_from_slice(b"{\"measurement_id\":\"");
        self.body.extend_from_slice(self.measurement_ids[property].as_bytes());
        self.body.extend_from_slice(b"\",\"hits\":[");
        let mut hits = 0;
        let mut first = 0..0;
        for number in 0..per_request {
            let by_client_id = self.scenario.traffic.identity == Identity::ClientId;
            let visitor = if number == 0 || !by_client_id { sender } else { self.visitor(property) };
            if number > 0 {
                self.body.extend_from_slice(b",");
            }
            let from = self.body.len();
            counted.push(self.hit(property, visitor, is_bot));
            if number == 0 {
                first = from..self.body.len();
            }
            hits += 1;
        }
        if per_request < 100 && self.random.random_bool(self.scenario.traffic.repeated_hits) {
            let copy = self.body[first].to_vec();
            self.body.extend_from_slice(b",");
            self.body.extend_from_slice(&copy);
            hits += 1;
        }
        self.body.extend_from_slice(b"]}");
        Request {
            property: u32::try_from(property).unwrap_or(u32::MAX),
            body: self.body.split().freeze(),
            agent,
            address: address(sender),
            counted,
            hits,
        }
    }

    /// Who sends the next hit of a property: one of those under way, or one who was there before.
    fn visitor(&mut self, property: usize) -> u64 {
        let begun = u64::from(self.hits_of[property]) / u64::from(self.scenario.traffic.hits_per_visit);
        // A site that is seldom visited has one visitor at a time: else a million of them would see first hits only.
        let mut number = begun + self.random.random_range(0..VISITORS_AT_ONCE.min(begun + 1));
        if number > VISITORS_AT_ONCE && self.random.random_bool(self.scenario.traffic.returning) {
            number = self.random.random_range(0..number);
        }
        // Threads do not share visitors.
        mix(self.seed ^ property as u64, number * self.threads + self.thread)
    }

    /// Writes one hit.
    fn hit(&mut self, property: usize, visitor: u64, is_bot: bool) -> Counted {
        self.hits_of[property] += 1;
        let id = mix(self.seed ^ 0x5bd1_e995, self.hits * self.threads + self.thread);
        self.hits += 1;
        let event = self.event();
        let traffic = &self.scenario.traffic;
        let age_ms = if traffic.late > 0.0 && self.random.random_bool(traffic.late) {
            self.random.random_range(1..=traffic.late_max_ms)
        } else {
            0
        };
        let page = self.pages.draw(&mut self.random);
        let body = &mut self.body;
        body.extend_from_slice(b"{\"event\":\"");
        body.extend_from_slice(event_name(event).as_bytes());
        body.extend_from_slice(b"\",\"id\":\"");
        push_hex(body, id);
        body.extend_from_slice(b"\",\"url\":\"https://shop-");
        push_number(body, property as u64);
        body.extend_from_slice(b".example");
        self.pages.push_path(body, page);
        self.pages.push_campaign(body, visitor);
        body.extend_from_slice(b"\",\"referrer\":\"");
        self.pages.push_referrer(body, visitor);
        body.extend_from_slice(b"\",\"title\":\"");
        self.pages.push_title(body, page);
        body.extend_from_slice(b"\",\"language\":\"");
        body.extend_from_slice(self.agents.language(visitor).as_bytes());
        body.extend_from_slice(b"\",\"screen\":\"");
        body.extend_from_slice(self.agents.screen(visitor).as_bytes());
        if traffic.identity == Identity::ClientId {
            body.extend_from_slice(b"\",\"client_id\":\"");
            push_hex(body, visitor);
        }
        body.extend_from_slice(b"\"");
        if age_ms > 0 {
            body.extend_from_slice(b",\"age_ms\":");
            push_number(body, age_ms.into());
        }
        if event >= 2 {
            body.extend_from_slice(b",\"params\":{\"value\":");
            push_number(body, 5 + id % 200);
            body.extend_from_slice(b",\"currency\":\"EUR\",\"scroll_depth\":");
            push_number(body, id % 101);
            body.extend_from_slice(b"}");
        }
        body.extend_from_slice(b"}");
        Counted { event, is_bot, age_ms }
    }

    fn event(&mut self) -> u8 {
        let mut drawn = self.random.random_range(0..100);
        for (number, (_, share)) in (0..).zip(EVENTS) {
            if drawn < share {
                return number;
            }
            drawn -= share;
        }
        0
    }
}

/// Popularity by rank: weight 1 / rank^exponent.
pub(crate) fn zipf(count: usize, exponent: f64) -> WeightedAliasIndex<f64> {
    let weights = (1..=count.max(1)).map(|rank| (rank as f64).powf(-exponent)).collect();
    WeightedAliasIndex::new(weights).expect("weights are positive and finite")
}

/// SplitMix64 (Steele, Lea, Flood 2014) over both: equal inputs give equal numbers, others look unrelated.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An address that looks like those of visitors: never private, loopback or multicast.
fn address(visitor: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = mix(visitor, 1).to_le_bytes();
    [20 + a % 80, b, c, d]
}

fn push_hex(body: &mut BytesMut, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 16];
    for (at, digit) in text.iter_mut().enumerate() {
        *digit = DIGITS[usize::try_from(number >> (60 - 4 * at) & 15).unwrap_or(0)];
    }
    body.extend_from_slice(&text);
}

pub(crate) fn push_number(body: &mut BytesMut, number: u64) {
    let mut text = [0_u8; 20];
    let mut left = &mut text[..];
    // 20 digits hold every u64.
    let _fits = write!(left, "{number}");
    let unused = left.len();
    body.extend_from_slice(&text[..20 - unused]);
}

#[cfg(test)]
mod tests;
