//! Counting pages per property and local hour: the limit, the hour's end, forgetting, changes.

use super::*;
use crate::handover::{Client, ItemAction, Place, TrafficReason};

const HOUR_MS: u64 = 3_600_000;

fn counts(max_pages_per_property_hour: u64, page_window_pages: u64) -> PageCounts {
    PageCounts::new(&Limits {
        max_pages_per_property_hour,
        page_window_bytes: page_window_pages * BYTES_PER_PAGE,
        ..Limits::default()
    })
}

fn dimensions(property: &str, minute: u32, page: &str) -> Dimensions {
    let client = Client {
        browser_version: "".into(),
        operating_system_version: "".into(),
        device_brand: "".into(),
        browser: "".into(),
        operating_system: "".into(),
        device: "other".into(),
    };
    Dimensions {
        property: property.into(),
        local_date: 0,
        minute,
        utc_offset_s: 1800,
        page_path: page.into(),
        hostname: "".into(),
        place: Arc::new(Place { country: "".into(), region: "".into(), city: "".into() }),
        client: Arc::new(client),
        traffic: TrafficReason::None,
    }
}

fn fold(counts: &mut PageCounts, property: &str, minute: u32, page: &str, received_at_ms: u64) -> String {
    let mut dimensions = dimensions(property, minute, page);
    counts.begin_block(received_at_ms);
    counts.fold(&mut dimensions, &mut Arc::default(), &mut Arc::default(), &mut [], received_at_ms);
    dimensions.page_path.to_string()
}

#[test]
fn custom_values_count_to_the_same_limit_and_become_other_as_a_whole() {
    let mut pages = counts(3, 100);
    let mut folded = |page: &str, custom: &str| {
        let (mut dimensions, mut custom) = (dimensions("p_a", 0, page), Arc::from(custom));
        pages.fold(&mut dimensions, &mut Arc::default(), &mut custom, &mut [], 0);
        (dimensions.page_path.to_string(), custom.to_string())
    };
    let same = |page: &str, custom: &str| (page.to_owned(), custom.to_owned());
    assert_eq!(folded("/1", "pro"), same("/1", "pro"));
    assert_eq!(
        folded("pro", "pro"),
        same("pro", "pro"),
        "a page that is called like a value is another text"
    );
    assert_eq!(folded("/1", "free\u{1f}\u{1f}3"), same("/1", "(other)\u{1f}\u{1f}(other)"));
    assert_eq!(folded("/2", "pro"), same(OTHER, "pro"));
    assert_eq!(folded("/1", ""), same("/1", ""));
}

#[test]
fn items_count_to_the_same_limit_and_become_other_as_a_whole() {
    let mut pages = counts(4, 100);
    let mut folded = |id: &str, name: &str, custom: &str| {
        let mut line = ItemLine {
            item: Item {
                id: id.into(),
                name: name.into(),
                brand: "B".into(),
                category: "".into(),
                variant: "".into(),
            },
            currency: "EUR".into(),
            custom: custom.into(),
            action: ItemAction::Viewed,
            quantity: 1,
            revenue_micros: 0,
        };
        pages.fold(
            &mut dimensions("p_a", 0, "/1"),
            &mut Arc::default(),
            &mut Arc::default(),
            std::slice::from_mut(&mut line),
            0,
        );
        let Item { id, name, brand, category, variant } = &line.item;
        [id, name, brand, category, variant, &line.currency, &line.custom].map(ToString::to_string).join("|")
    };
    assert_eq!(folded("1", "Cap", "L"), "1|Cap|B|||EUR|L");
    assert_eq!(folded("1C", "ap", ""), "1C|ap|B|||EUR|", "the texts are told apart");
    let other = "(other)|(other)|(other)|(other)|(other)|EUR|";
    assert_eq!(folded("2", "Hat", "L"), format!("{other}L"));
    assert_eq!(folded("1", "Cap", "M"), "1|Cap|B|||EUR|(other)");
}

#[test]
fn hosts_count_to_the_same_limit() {
    let mut pages = counts(3, 100);
    let mut host = |host: &str| {
        let mut dimensions = dimensions("p_a", 0, "/");
        dimensions.hostname = host.into();
        pages.fold(&mut dimensions, &mut Arc::default(), &mut Arc::default(), &mut [], 0);
        dimensions.hostname.to_string()
    };
    assert_eq!(
        ["a.example", "b.example", "c.example", "a.example", ""].map(&mut host),
        ["a.example", "b.example", OTHER, "a.example", ""]
    );
}

#[test]
fn titles_count_to_the_same_limit() {
    let mut pages = counts(3, 100);
    let mut title = |title: &str| {
        let mut title = Arc::from(title);
        pages.fold(&mut dimensions("p_a", 0, "/"), &mut title, &mut Arc::default(), &mut [], 0);
        title.to_string()
    };
    assert_eq!(["One", "/", "Three", "One", ""].map(&mut title), ["One", "/", OTHER, "One", ""]);
}

#[test]
fn pages_beyond_the_limit_become_other() {
    let mut pages = counts(2, 100);
    assert_eq!(fold(&mut pages, "p_a", 0, "/1", 0), "/1");
    assert_eq!(fold(&mut pages, "p_a", 29, "/2", 0), "/2");
    assert_eq!(fold(&mut pages, "p_a", 29, "/3", 0), OTHER);
    assert_eq!(fold(&mut pages, "p_a", 29, "/1", 0), "/1", "known pages stay");
    assert_eq!(fold(&mut pages, "p_b", 29, "/3", 0), "/3", "properties count apart");
    assert_eq!(fold(&mut pages, "p_a", 30, "/3", 0), "/3", "half past is a new local hour at +00:30");
    assert_eq!(pages.pages(), 4);
}

#[test]
fn hour_is_forgotten_after_26_hours() {
    let mut pages = counts(1, 100);
    fold(&mut pages, "p_a", 0, "/1", 5);
    assert_eq!(fold(&mut pages, "p_a", 0, "/2", 5 + 26 * HOUR_MS - 1), OTHER);
    assert_eq!(fold(&mut pages, "p_a", 0, "/2", 5 + 26 * HOUR_MS), "/2");
    assert_eq!(pages.pages(), 1);
}

#[test]
fn at_the_memory_limit_the_hour_that_began_first_goes() {
    let mut pages = counts(2, 2);
    fold(&mut pages, "p_a", 0, "/1", 0);
    fold(&mut pages, "p_a", 0, "/2", 0);
    fold(&mut pages, "p_b", 0, "/1", 0);
    assert_eq!(pages.pages(), 1);
    assert_eq!(fold(&mut pages, "p_a", 0, "/3", 0), "/3", "its count began anew");
}

#[test]
fn counts_restored_from_changes_are_the_same() {
    let (mut pages, mut restored) = (counts(3, 8), counts(3, 8));
    for round in 0..40_u32 {
        let property = if round % 3 == 0 { "p_a" } else { "p_b" };
        let received_at_ms = u64::from(round / 2) * 5 * HOUR_MS;
        fold(&mut pages, property, round / 5 * 30, &format!("/{}", round % 7), received_at_ms);
        if round % 4 == 0 {
            restored.apply(&pages.take_change());
            assert_eq!(restored.whole(), pages.whole(), "round {round}");
            assert_eq!(restored.pages(), pages.pages());
        }
    }
    let mut whole = counts(3, 8);
    whole.apply(&pages.whole());
    assert_eq!(whole.whole(), pages.whole());
}

#[test]
fn erased_propertys_pages_are_counted_anew() {
    let (mut pages, mut restored) = (counts(1, 100), counts(1, 100));
    fold(&mut pages, "p_a", 0, "/1", 0);
    fold(&mut pages, "p_a", 90, "/1", 0);
    fold(&mut pages, "p_b", 0, "/1", 0);
    restored.apply(&pages.take_change());
    fold(&mut pages, "p_a", 0, "/2", 0);
    pages.forget_property("p_a");
    pages.forget_property("p_none");
    assert_eq!(pages.pages(), 1);
    assert_eq!(fold(&mut pages, "p_a", 0, "/3", 0), "/3");
    assert_eq!(fold(&mut pages, "p_b", 0, "/3", 0), OTHER, "of others they stay");
    restored.apply(&pages.take_change());
    assert_eq!((restored.whole(), restored.pages()), (pages.whole(), pages.pages()));
}
