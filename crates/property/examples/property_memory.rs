//! What a property without traffic takes in memory: prints `{"bytes_per_property": …, …}`.
//!
//! Writes a directory of a million property files (each with a name of its own and one host name; ten time zones), reads
//! it as a service does, and counts the bytes on the heap before and after, rounded up as mimalloc (the allocator of the services) does.
//!
//! `property_memory [--properties N]`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hit::Rules;
use property::{KeyHash, Properties, Property, Rulebook, VisitorKey};

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

fn property(n: u64) -> anyhow::Result<Property> {
    let zone = ZONES[usize::try_from(n)? % ZONES.len()];
    Ok(Property {
        property_id: format!("p_{}", characters(n, 12)),
        measurement_id: format!("M-{}", characters(n, 10).to_ascii_uppercase()),
        name: format!("Shop number {n}"),
        time_zone: zone.to_owned(),
        currency: "EUR".to_owned(),
        hostnames: vec![format!("shop-{n}.example.com")],
        created_at: "2026-01-01T00:00:00Z".parse()?,
        api_secret_sha256: KeyHash::of(&format!("secret {n}")),
        report_key_sha256: KeyHash::of(&format!("key {n}")),
        visitor_key: VisitorKey::random()?,
        rules: Rulebook::try_from(vec![Rules::first(zone)]).map_err(anyhow::Error::msg)?,
        tracker: None,
    })
}

fn main() -> anyhow::Result<()> {
    let count = std::env::args().skip_while(|argument| argument != "--properties").nth(1);
    let count: u64 = count.map_or(Ok(1_000_000), |count| count.parse())?;
    let dir = tempfile::tempdir()?;
    for n in 0..count {
        let property = property(n)?;
        let path = dir.path().join(format!("{}.json", property.property_id));
        std::fs::write(path, serde_json::to_vec(&property)?)?;
    }
    let before = LIVE.load(Ordering::Relaxed);
    let begun = Instant::now();
    let properties = Properties::open(dir.path())?;
    let opening = begun.elapsed();
    let bytes = LIVE.load(Ordering::Relaxed) - before;
    let begun = Instant::now();
    properties.refresh();
    let looking = begun.elapsed();
    let snapshot = properties.snapshot();
    let begun = Instant::now();
    let found = (0..count)
        .filter(|n| {
            snapshot.by_measurement_id(&format!("M-{}", characters(*n, 10).to_ascii_uppercase())).is_some()
        })
        .count();
    let with_traffic = LIVE.load(Ordering::Relaxed) - before;
    println!(
        "{{\"bytes_per_property\": {}, \"properties\": {found}, \"bytes_per_property_with_traffic\": {}, \
         \"seconds_to_open\": {:.2}, \"seconds_to_look_again\": {:.2}, \"ns_per_first_look_up\": {}}}",
        bytes / found.max(1),
        with_traffic / found.max(1),
        opening.as_secs_f64(),
        looking.as_secs_f64(),
        begun.elapsed().as_nanos() / u128::from(count.max(1)),
    );
    Ok(())
}
