//! The world of the tests, with what is true in it written by hand: zones, user agents, pages, referrers.
//!
//! Offsets are facts of tzdata for 2026, so that expected local times do not come from the library under test.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use hit::{Rules, RulesSource};
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

/// A user agent and what it is: class, browser, operating system, device.
pub(crate) const USER_AGENTS: [(&str, [&str; 4]); 4] = [
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ["human", "Firefox", "Linux", "desktop"],
    ),
    ("Mozilla/5.0 (Linux; Android 16) Mobile Firefox/141.0", ["human", "Firefox", "Android", "mobile"]),
    ("Hungrybot/1.0 (+https://bot.example)", ["bot", "Other", "Other", "bot"]),
    ("", ["bot", "Other", "Other", "bot"]),
];

/// A page: URL, path, and source, medium, campaign if its query has them.
pub(crate) const PAGES: [(&str, &str, Option<[&str; 3]>); 6] = [
    ("https://shop.example/", "/", None),
    ("https://shop.example", "/", None),
    ("https://www.shop.example/a/b?x=1#top", "/a/b", None),
    (
        "https://shop.example/sale?utm_source=letter&utm_medium=email&utm_campaign=may%20sale",
        "/sale",
        Some(["letter", "email", "may sale"]),
    ),
    ("https://shop.example/c?utm_source=poster", "/c", Some(["poster", "(not set)", ""])),
    ("not a url", "", None),
];

/// A referrer: URL, source, medium. The page's own host is no referrer, unless the page has none.
pub(crate) const REFERRERS: [(&str, [&str; 2]); 4] = [
    ("", ["(direct)", "(none)"]),
    ("https://www.google.co.uk/", ["google", "organic"]),
    ("https://m.facebook.com/x", ["facebook", "referral"]),
    ("https://www.blog.example/post", ["blog.example", "referral"]),
];

/// Rules by property and version: zone, time-out, grace (seconds).
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) rules: HashMap<(String, u32), (String, u32, u32)>,
}

impl RulesSource for World {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        let (zone, timeout_s, grace_s) = self.rules.get(&(property_id.to_owned(), version))?;
        Some(Arc::new(Rules {
            version,
            session_timeout_s: *timeout_s,
            session_grace_s: *grace_s,
            ..Rules::first(zone)
        }))
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
