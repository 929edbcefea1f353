//! What a property without traffic takes in memory: prints `{"bytes_per_property": …, …}`.
//!
//! Makes a local copy of a configuration with a million properties (each with one host name; ten time zones), opens it as an edge does,
//! and counts the bytes on the heap before and after, rounded up as mimalloc (the allocator of the services) does.
//!
//! `property_memory [--properties N]`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use configuration::fixture::edge_copy;
use edge_agent::rehearse::Held;
use hit::Rules;
use jiff::Timestamp;
use property::{ApiSecret, KeyHash, Property, Rulebook, VisitorKey};

/// Changes that are timed, each durable.
const CHANGES: u64 = 100;

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

const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Africa/Lagos",
];

/// `count` characters of the alphabet of ids.
fn characters(mut number: u64, count: usize) -> String {
    let digit = |number: &mut u64| {
        let digit = u8::try_from(*number % 26).unwrap_or(0);
        *number /= 26;
        char::from(b'a' + digit)
    };
    (0..count).map(|_| digit(&mut number)).collect()
}

fn property(n: u64) -> Property {
    let zone = ZONES.get(usize::try_from(n).unwrap_or(0) % ZONES.len()).copied().unwrap_or("UTC");
    let rules = Rules { currency: "EUR".to_owned(), ..Rules::first(zone) };
    let secret = ApiSecret { hash: KeyHash::of(&format!("secret {n}")), expires_at_ms: 0 };
    Property {
        property_id: format!("p_{}", characters(n, 12)),
        measurement_id: format!("M-{}", characters(n, 10).to_ascii_uppercase()),
        hostnames: vec![format!("shop-{n}.example.com")],
        created_at: Timestamp::UNIX_EPOCH,
        api_secrets: Arc::from([secret]),
        visitor_key: VisitorKey::from([7; 16]),
        rules: Rulebook::try_from(vec![rules]).expect("a rulebook"),
        tracker: None,
        data_region: String::new(),
        quota: property::Quota::default(),
    }
}

fn main() -> anyhow::Result<()> {
    let count = std::env::args().skip_while(|argument| argument != "--properties").nth(1);
    let count: u64 = count.map_or(Ok(1_000_000), |count| count.parse())?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join(edge_agent::CONFIG_FILE);
    edge_copy(&path, (0..count).map(property), &[])?;
    let file_bytes = std::fs::metadata(&path)?.len();
    let before = LIVE.load(Ordering::Relaxed);
    let begun = Instant::now();
    let held = Held::open(&path)?;
    let opening = begun.elapsed();
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    let begun = Instant::now();
    let found =
        (0..count).filter(|n| held.knows(&format!("M-{}", characters(*n, 10).to_ascii_uppercase()))).count();
    let looking = begun.elapsed();
    let begun = Instant::now();
    for n in 0..CHANGES {
        held.change(&property(n))?;
    }
    let changing = begun.elapsed();
    println!(
        "{{\"bytes_per_property\": {}, \"properties\": {found}, \"seconds_to_open\": {:.2}, \"bytes_of_file_per_property\": {}, \
         \"ns_per_first_look_up\": {}, \"ms_per_change\": {:.2}}}",
        bytes / found.max(1),
        opening.as_secs_f64(),
        file_bytes / count.max(1),
        looking.as_nanos() / u128::from(count.max(1)),
        changing.as_secs_f64() * 1000.0 / CHANGES as f64,
    );
    Ok(())
}
