//! The world of the tests, with what is true in it written by hand: zones, user agents, pages, referrers.
//!
//! Offsets are facts of tzdata for 2026, so that expected local times do not come from the library under test.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use hit::{Item, ParamValue, Parameter, Rules, RulesSource, parameter};
use processing::Detection;

/// Zone, then from which instant (unix seconds) which offset (seconds) holds.
pub(crate) const ZONES: [(&str, &[(i64, i32)]); 6] = [
    ("UTC", &[(0, 0)]),
    // Summer time from 2026-03-29T01:00Z to 2026-10-25T01:00Z.
    ("Europe/Berlin", &[(1_761_440_400, 3600), (1_774_746_000, 7200), (1_792_890_000, 3600)]),
    // Summer time from 2026-03-08T07:00Z to 2026-11-01T06:00Z.
    ("America/New_York", &[(1_762_063_200, -18_000), (1_772_953_200, -14_400), (1_793_512_800, -18_000)]),
    ("Asia/Kolkata", &[(0, 19_800)]),
    ("Asia/Kathmandu", &[(600_000_000, 20_700)]),
    // Half an hour of summer time until 2026-04-04T15:00Z, and from 2026-10-03T15:30Z on.
    ("Australia/Lord_Howe", &[(1_759_591_800, 39_600), (1_775_314_800, 37_800), (1_791_041_400, 39_600)]),
];

/// Instants (unix seconds) near which something changes: days, months, daylight saving.
pub(crate) const INSTANTS: [i64; 11] = [
    1_774_746_000, // Berlin, spring
    1_792_890_000, // Berlin, autumn
    1_774_738_800, // Berlin, midnight before the spring change: 2026-03-28T23:00Z
    1_792_879_200, // Berlin, midnight before the autumn change: 2026-10-24T22:00Z
    1_772_953_200, // New York, spring
    1_793_512_800, // New York, autumn
    1_775_314_800, // Lord Howe, autumn: half an hour back
    1_791_041_400, // Lord Howe, spring: half an hour on
    1_780_252_200, // Kolkata, midnight: 2026-05-31T18:30Z
    1_780_251_300, // Kathmandu, midnight: 2026-05-31T18:15Z
    1_780_272_000, // UTC, midnight: 2026-06-01T00:00Z
];

/// The offset of a zone at an instant, seconds.
pub(crate) fn offset_s(zone: &str, unix_s: i64) -> i32 {
    let (_, changes) = ZONES.iter().find(|(name, _)| *name == zone).unwrap();
    changes.iter().rev().find(|(from, _)| *from <= unix_s).unwrap().1
}

/// A user agent and what it is: class, browser and version, operating system and version, device.
pub(crate) const USER_AGENTS: [(&str, [&str; 6]); 4] = [
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ["human", "Firefox", "140", "Linux", "", "desktop"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 16) Mobile Firefox/141.0",
        ["human", "Firefox", "141", "Android", "16", "mobile"],
    ),
    ("Hungrybot/1.0 (+https://bot.example)", ["bot", "Other", "", "Other", "", "bot"]),
    ("", ["bot", "Other", "", "Other", "", "bot"]),
];

/// An address and its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) url: &'static str,
    /// Without `www.`; empty: there is no page.
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    /// Names and values as they stand in the query.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// Path and query after `#`, where it is a path.
    pub(crate) route: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// Source, medium, campaign of the campaign that the query names.
    pub(crate) campaign: Option<[&'static str; 3]>,
    /// Likewise, of a link that nobody paid for: only without a referrer.
    pub(crate) shared: Option<[&'static str; 3]>,
}

const NONE: Page =
    Page { url: "", host: "shop.example", path: "/", query: &[], route: None, campaign: None, shared: None };

/// Pages.
pub(crate) const PAGES: [Page; 12] = [
    Page { url: "https://shop.example/", ..NONE },
    Page { url: "https://shop.example", ..NONE },
    Page { url: "https://www.shop.example/a/b?x=1#top", path: "/a/b", query: &[("x", "1")], ..NONE },
    Page {
        url: "https://shop.example/sale?utm_source=letter&utm_medium=email&utm_campaign=may%20sale",
        path: "/sale",
        query: &[("utm_source", "letter"), ("utm_medium", "email"), ("utm_campaign", "may%20sale")],
        campaign: Some(["letter", "email", "may sale"]),
        ..NONE
    },
    Page {
        url: "https://shop.example/c?utm_source=poster",
        path: "/c",
        query: &[("utm_source", "poster")],
        campaign: Some(["poster", "(not set)", ""]),
        ..NONE
    },
    Page {
        url: "https://shop.example/c?gclid=1",
        path: "/c",
        query: &[("gclid", "1")],
        campaign: Some(["google", "cpc", ""]),
        ..NONE
    },
    Page {
        url: "https://shop.example/c?fbclid=1",
        path: "/c",
        query: &[("fbclid", "1")],
        shared: Some(["facebook", "referral", ""]),
        ..NONE
    },
    Page {
        url: "https://shop.example/A/B/?x=B&id=7&y=%C3%A9&x=2",
        path: "/A/B/",
        query: &[("x", "B"), ("id", "7"), ("y", "%C3%A9"), ("x", "2")],
        ..NONE
    },
    Page { url: "https://shop.example/a/f.html", path: "/a/f.html", ..NONE },
    Page {
        url: "https://shop.example/app?id=1#/A/%C3%89?id=2",
        path: "/app",
        query: &[("id", "1")],
        route: Some(("/A/%C3%89", &[("id", "2")])),
        ..NONE
    },
    Page { url: "https://www.elsewhere.example/a/", host: "elsewhere.example", path: "/a/", ..NONE },
    Page { url: "not a url", host: "", path: "", ..NONE },
];

/// The page of a URL.
pub(crate) fn page_of(url: &str) -> Page {
    *PAGES.iter().find(|page| page.url == url).unwrap()
}

/// Goods as they are sent, and what is true of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goods {
    pub(crate) id: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) price: Option<f64>,
    pub(crate) quantity: Option<f64>,
    /// The item's own parameter `size`; empty: none.
    pub(crate) size: &'static str,
    /// How many items they are.
    pub(crate) count: u64,
    /// What they bring where they are bought, millionths.
    pub(crate) micros: u64,
    /// The price of one, millionths.
    pub(crate) price_micros: u64,
}

/// Goods.
pub(crate) const GOODS: [Goods; 6] = [
    Goods {
        id: "cap",
        variant: "",
        price: Some(24.75),
        quantity: Some(2.0),
        size: "L",
        count: 2,
        micros: 49_500_000,
        price_micros: 24_750_000,
    },
    Goods { id: "cap", variant: "red", price: Some(24.75), quantity: None, size: "", ..SINGLE },
    Goods {
        id: "cheese",
        variant: "",
        price: Some(12.5),
        quantity: Some(1.5),
        size: "M",
        count: 2,
        micros: 18_750_000,
        price_micros: 12_500_000,
    },
    Goods { id: "gift", price: None, micros: 0, price_micros: 0, ..SINGLE },
    Goods { id: "none", quantity: Some(0.0), count: 0, micros: 0, ..SINGLE },
    Goods { id: "back", quantity: Some(-1.0), count: 0, micros: 0, ..SINGLE },
];

const SINGLE: Goods = Goods {
    id: "",
    variant: "",
    price: Some(24.75),
    quantity: None,
    size: "",
    count: 1,
    micros: 24_750_000,
    price_micros: 24_750_000,
};

impl Goods {
    /// As a hit has them.
    pub(crate) fn item(&self) -> Item {
        let size = || Parameter {
            key: "size".to_owned(),
            value: Some(parameter::Value::Text(self.size.to_owned())),
        };
        Item {
            id: self.id.to_owned(),
            variant: self.variant.to_owned(),
            price: self.price,
            quantity: self.quantity,
            params: (!self.size.is_empty()).then(size).into_iter().collect(),
            ..Item::default()
        }
    }
}

/// What an item is.
pub(crate) fn goods_of(item: &Item) -> Goods {
    *GOODS.iter().find(|goods| goods.id == item.id && goods.variant == item.variant).unwrap()
}

/// A referrer: URL, registrable domain, source, medium. The page's own host is no referrer, unless the page has none.
pub(crate) const REFERRERS: [(&str, &str, [&str; 2]); 4] = [
    ("", "", ["(direct)", "(none)"]),
    ("https://www.google.co.uk/", "google.co.uk", ["google", "organic"]),
    ("https://m.facebook.com/x", "facebook.com", ["facebook", "referral"]),
    ("https://www.blog.example/post", "blog.example", ["blog.example", "referral"]),
];

/// Parameters of events: name, value, and what it adds to a custom metric, millionths.
pub(crate) const PARAMS: [(&str, ParamValue<'static>, u64); 8] = [
    ("litres", ParamValue::Number(2.5), 2_500_000),
    ("litres", ParamValue::Text("0.75"), 750_000),
    ("litres", ParamValue::Number(-4.0), 0),
    ("litres", ParamValue::Text("1e3"), 0),
    ("litres", ParamValue::Number(2e10), 0),
    ("seats", ParamValue::Number(3.0), 3_000_000),
    ("seats", ParamValue::Text("11"), 11_000_000),
    ("seats", ParamValue::Flag(true), 0),
];

/// Rules by property and version.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) rules: HashMap<(String, u32), Rules>,
}

impl RulesSource for World {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        let rules = self.rules.get(&(property_id.to_owned(), version))?;
        Some(Arc::new(Rules { version, ..rules.clone() }))
    }
}

/// Detection by a few rules of its own: what uap-core's real rules say is tested beside the stage.
pub(crate) fn detection() -> Arc<Detection> {
    static DETECTION: OnceLock<Arc<Detection>> = OnceLock::new();
    let yaml = "
user_agent_parsers:
  - regex: '(Firefox)/(\\d+)'
os_parsers:
  - regex: '(Android) (\\d+)'
  - regex: '(Linux)'
device_parsers:
  - regex: 'Spider'
    device_replacement: 'Spider'
";
    let crawlers = r#"[{"pattern": "Hungrybot\\/"}]"#;
    let make = || Arc::new(Detection::new(yaml, crawlers).unwrap());
    Arc::clone(DETECTION.get_or_init(make))
}
