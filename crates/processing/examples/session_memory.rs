//! What an open session takes in memory: prints `{"bytes_per_open_session": …, …}`.
//!
//! Opens a million sessions over 1,000 properties, 200,000 pages, 5,000 user agents, 2,000 cities and 1,000 ways to
//! come, one in a hundred known by the ids of two days, and counts the bytes on the heap before and after, rounded up
//! as mimalloc (the allocator of the edge) does. A seal lies in between, so that nothing waits for one.
//!
//! `session_memory [--sessions N] [--named PERCENT]` (PERCENT of the sessions carry a client's session id).

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use processing::handover::{
    Acquisition, Client, Dimensions, EnrichedHit, Place, SessionTerms, TrafficReason, VisitorType,
};
use processing::sessionize::Sessions;

/// Bytes on the heap.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

/// The size class of mimalloc: multiples of 16 bytes up to 128, then eight classes for each doubling.
fn rounded(bytes: usize) -> usize {
    let step = if bytes <= 128 { 16 } else { bytes.next_power_of_two() / 16 };
    bytes.next_multiple_of(step)
}

// SAFETY: every call goes on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(rounded(layout.size()), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(rounded(layout.size()), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// 2026-06-01T00:00:00Z.
const START_MS: u64 = 1_780_272_000_000;

/// xorshift64*: the same sessions in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// Ten cities in each of 200 countries.
fn place(n: u16) -> Arc<Place> {
    let letter = |n: u16| char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    Arc::new(Place {
        country: format!("{}{}", letter(n / 260), letter(n / 10)).into(),
        region: format!("Region {}", n / 5).into(),
        city: format!("City {n}").into(),
    })
}

/// The hits of many visitors, as enriching gives them.
struct Traffic {
    random: Random,
    named_percent: u64,
    clients: Vec<Arc<Client>>,
    places: Vec<Arc<Place>>,
}

impl Traffic {
    fn new(named_percent: u64) -> Self {
        let client = |n: u64| {
            Arc::new(Client {
                browser: format!("Browser {}", n % 23).into(),
                browser_version: format!("{}", n % 40).into(),
                operating_system: format!("System {}", n % 11).into(),
                operating_system_version: format!("{}", n % 7).into(),
                device: ["desktop", "mobile", "tablet"][usize::try_from(n % 3).unwrap_or(0)].into(),
                device_brand: format!("Brand {}", n % 13).into(),
            })
        };
        Self {
            random: Random(0x9E37_79B9_7F4A_7C15),
            named_percent,
            clients: (0..5_000).map(client).collect(),
            places: (0..2_000).map(place).collect(),
        }
    }

    fn hit(&mut self, visitor_id: u64, at_ms: u64) -> EnrichedHit {
        let named = visitor_id % 100 < self.named_percent;
        let pick = |from: u64| usize::try_from(visitor_id * 7919 % from).unwrap_or(0);
        let property = visitor_id % 1_000;
        EnrichedHit {
            dimensions: Dimensions {
                property: format!("p_{property:012}").into(),
                local_date: 20_604,
                minute: u32::try_from(at_ms / 60_000).unwrap_or(0),
                utc_offset_s: 7_200,
                page_path: format!("/catalogue/{}/item.html", self.random.below(200_000)).into(),
                hostname: format!("www.shop-{property}.example").into(),
                place: Arc::clone(&self.places[pick(2_000)]),
                client: Arc::clone(&self.clients[pick(5_000)]),
                traffic: match visitor_id % 50 {
                    0 => TrafficReason::CrawlerUserAgent,
                    _ => TrafficReason::None,
                },
            },
            event: "page_view".into(),
            is_page_view: true,
            event_time_ms: at_ms,
            received_at_ms: at_ms,
            visitor_id: visitor_id.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            previous_visitor_id: None,
            session_id: named.then_some(visitor_id ^ 0xABCD),
            has_client_id: false,
            first_visit: false,
            visitor_type: VisitorType::NotSet,
            first_source: "(not set)".into(),
            is_key_event: false,
            revenue: None,
            values: Vec::new(),
            page_title: "".into(),
            items: Vec::new(),
            custom: "".into(),
            custom_micros: [0; 5],
            engagement_ms: 0,
            is_passive: false,
            day: None,
            campaign: None,
            terms: SessionTerms {
                timeout_ms: 1_800_000,
                grace_ms: 300_000,
                engaged_after_ms: 10_000,
                engaged_page_views: 2,
            },
        }
    }
}

fn acquisition(visitor: u64) -> Acquisition {
    Acquisition {
        source: format!("site-{}.example", visitor % 1_000).into(),
        medium: "referral".into(),
        campaign: "".into(),
        visitor_type: VisitorType::NotSet,
        first_source: "(not set)".into(),
    }
}

fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let (count, named) = (argument("--sessions", 1_000_000), argument("--named", 0));
    let mut traffic = Traffic::new(named);
    let before = live();
    let mut sessions = Sessions::new(2 * count);
    let begun = Instant::now();
    let mut at_ms = START_MS;
    for visitor in 0..count {
        // Within the time-out, so that all are open at the end.
        at_ms = START_MS + visitor * 1_500_000 / count;
        if visitor % 100 == 0 {
            sessions.on_time(at_ms);
            sessions.begin_block(at_ms);
        }
        let hit = traffic.hit(visitor, at_ms);
        sessions.place(&hit, || acquisition(visitor));
        if visitor % 100 == 7 {
            let today =
                EnrichedHit { visitor_id: !hit.visitor_id, previous_visitor_id: Some(hit.visitor_id), ..hit };
            sessions.place(&today, || acquisition(visitor));
        }
    }
    let opening = begun.elapsed();
    let begun = Instant::now();
    for visitor in 0..count {
        let visitor = visitor * 7 % count;
        let hit = traffic.hit(visitor, at_ms + visitor * 100_000 / count);
        sessions.place(&EnrichedHit { received_at_ms: at_ms + 100_000, ..hit }, || acquisition(visitor));
    }
    let joining = begun.elapsed();
    drop(sessions.take_change());
    drop(sessions.take_closed());
    let bytes = live() - before;
    let open = sessions.open_count();
    let begun = Instant::now();
    for second in 0..5_000 {
        sessions.begin_block(at_ms + second * 1_000);
        sessions.on_time(at_ms + second * 1_000);
        drop(sessions.take_closed());
    }
    let closing = begun.elapsed();
    drop(sessions.take_change());
    let per = |what: std::time::Duration| what.as_nanos() / u128::from(count);
    println!(
        "{{\"bytes_per_open_session\": {}, \"open_sessions\": {open}, \"ns_per_opening\": {}, \"ns_per_join\": {}, \
         \"ns_per_closing\": {}, \"bytes_when_all_are_over\": {}}}",
        bytes / usize::try_from(open.max(1)).unwrap_or(1),
        per(opening),
        per(joining),
        per(closing),
        live() - before,
    );
}
