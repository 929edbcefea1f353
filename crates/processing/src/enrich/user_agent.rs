//! What a user agent is: traffic class, browser, operating system, device class.
//!
//! Rules come from outside: uap-core's `regexes.yaml` and the list of crawler-user-agents. The answer depends on the
//! texts alone, so the bounded cache cannot be seen from outside.
//!
//! *Traffic*, first reason that holds: there is no user agent, or `-`; it matches a crawler's pattern, or uap-core's device family is `Spider`;
//! it is no browser's; it names what drives a browser (`crawlers`), or the client hints do.
//! *Device*, first rule that holds: `bot` for a bot; `tablet` for a device family, or a browser family, with `iPad`,
//! `Tablet` or `Kindle` in it, and for Android whose user agent lacks the word `Mobile` (Google's convention for
//! tablets; televisions say `TV` and are `other`); `mobile` for a telephone's operating system, or a device family
//! `iPhone`, `iPod`, `Generic Smartphone` or `Generic Feature Phone`; `desktop` for a computer's operating
//! system; else `other`. An iPad that asks for desktop pages says that it is a Mac, and is one here.
//! *Brand*: uap-core's device brand, unless it is `Generic…`. *Versions*: see `versions`. What hints add: see `hints`.

mod crawlers;
mod hints;
mod versions;

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hit::{ClientHints, HintsView, HitView};
use serde::Deserialize;
use ua_parser::{Extractor, Regexes};

use self::crawlers::Crawlers;
use crate::handover::{Client, TrafficClass, TrafficReason};

/// Distinct user agents remembered, with the hints beside them. At the limit all are forgotten and found again.
const CACHE_ENTRIES: usize = 50_000;
/// What uap-core calls what it does not know.
const UNKNOWN: &str = "Other";

/// Bytes of each text that is kept; longer ones are cut at a character.
const TEXT_BYTES: usize = 64;

const PHONE_SYSTEMS: [&str; 15] = [
    "iOS",
    "Android",
    "Windows Phone",
    "Windows Mobile",
    "Windows CE",
    "BlackBerry OS",
    "Symbian OS",
    "Symbian^3",
    "Symbian^3 Anna",
    "Symbian^3 Belle",
    "Firefox OS",
    "KaiOS",
    "Bada",
    "MeeGo",
    "HarmonyOS",
];
const PHONE_FAMILIES: [&str; 4] = ["iPhone", "iPod", "Generic Smartphone", "Generic Feature Phone"];
const COMPUTER_SYSTEMS: [&str; 25] = [
    "Windows",
    "Mac OS X",
    "Mac OS",
    "Linux",
    "Chrome OS",
    "Ubuntu",
    "Kubuntu",
    "Debian",
    "Fedora",
    "Red Hat",
    "CentOS",
    "SUSE",
    "Gentoo",
    "Mandriva",
    "Mageia",
    "Linux Mint",
    "Arch Linux",
    "Slackware",
    "PCLinuxOS",
    "Solaris",
    "FreeBSD",
    "OpenBSD",
    "NetBSD",
    "DragonFly",
    "BeOS",
];

/// Why the rules of detection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectionError {
    /// Not YAML of uap-core's shape.
    #[error("uap-core's regexes.yaml does not parse: {0}")]
    UserAgentRules(#[from] serde_yaml_ng::Error),
    /// A rule of uap-core does not compile.
    #[error("uap-core's regexes.yaml has a pattern that does not compile: {0}")]
    UserAgentPattern(String),
    /// Not a JSON list of objects with `pattern`.
    #[error("crawler-user-agents.json does not parse: {0}")]
    Crawlers(#[from] serde_json::Error),
    /// The list is empty: every crawler would pass as human.
    #[error("{0} holds no rule; install it again with `make setup`")]
    Empty(&'static str),
    /// A crawler's pattern does not compile.
    #[error("crawler-user-agents.json has a pattern that does not compile: {pattern:?}: {error}")]
    CrawlerPattern {
        /// As in the file.
        pattern: String,
        /// What the regular expression's compiler says.
        error: regex::Error,
    },
    /// The patterns compile one by one, but not as a set.
    #[error("the patterns of crawler-user-agents.json do not compile as one set: {0}")]
    CrawlerSet(regex::Error),
}

/// An entry of crawler-user-agents.json, as far as it matters here.
#[derive(Deserialize)]
struct Crawler {
    pattern: String,
}

/// What user agents are, by the rules it was made from.
pub struct Detection {
    extractor: Extractor<'static>,
    crawlers: Crawlers,
    cache: Mutex<HashTable<Known>>,
    hashes: RandomState,
    unknown: Arc<Client>,
}

/// What a user agent is, with the hints beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Browser, system and device.
    pub client: Arc<Client>,
    /// What these alone speak for.
    pub traffic: TrafficReason,
}

/// What was found before.
struct Known {
    user_agent: Box<str>,
    hints: Option<ClientHints>,
    detected: Detected,
}

impl Known {
    fn key(&self) -> (&str, Option<HintsView<'_>>) {
        (&self.user_agent, self.hints.as_ref().map(HintsView::of))
    }
}

impl Detection {
    /// From uap-core's `regexes.yaml` and crawler-user-agents' `crawler-user-agents.json` (their text).
    ///
    /// # Errors
    /// When a file does not parse, is empty, or a pattern does not compile.
    pub fn new(user_agent_rules_yaml: &str, crawlers_json: &str) -> Result<Self, DetectionError> {
        let mut regexes: Regexes<'static> = serde_yaml_ng::from_str(user_agent_rules_yaml)?;
        if regexes.user_agent_parsers.is_empty() {
            return Err(DetectionError::Empty("uap-core's regexes.yaml"));
        }
        keep_bounds(&mut regexes);
        let extractor = Extractor::try_from(regexes)
            .map_err(|error| DetectionError::UserAgentPattern(error.to_string()))?;
        let crawlers = Crawlers::new(crawlers_json)?;
        let unknown = Arc::new(Client {
            browser: UNKNOWN.into(),
            browser_version: "".into(),
            operating_system: UNKNOWN.into(),
            operating_system_version: "".into(),
            device: "other".into(),
            device_brand: "".into(),
        });
        let hashes = RandomState::default();
        Ok(Self { extractor, crawlers, cache: Mutex::default(), hashes, unknown })
    }

    /// What a hit's user agent and client hints are. Of a visitor of whom a server told, without a user agent, nothing is known, also nothing
    /// that a bot would show.
    pub fn of(&self, hit: &HitView<'_>) -> Detected {
        match hit.user_agent {
            "" if hit.sent_by_server => {
                Detected { client: Arc::clone(&self.unknown), traffic: TrafficReason::None }
            }
            user_agent => self.classify(user_agent, hit.client_hints),
        }
    }

    /// What this user agent is, with the hints that came beside it.
    pub fn classify(&self, user_agent: &str, hints: Option<HintsView<'_>>) -> Detected {
        let hash = self.hashes.hash_one((user_agent, hints));
        let is_it = |known: &Known| known.key() == (user_agent, hints);
        let cached = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cached().find(hash, is_it) {
            return known.detected.clone();
        }
        // Found outside the lock: another thread may find the same meanwhile, with the same result.
        let detected = match hints {
            Some(hints) => hints::refine(&self.classify(user_agent, None), hints),
            None => self.find(user_agent),
        };
        let mut cache = cached();
        if cache.len() >= CACHE_ENTRIES {
            cache.clear();
        }
        if cache.find(hash, is_it).is_none() {
            let hints = hints.map(HintsView::to_message);
            let known = Known { user_agent: user_agent.into(), hints, detected: detected.clone() };
            cache.insert_unique(hash, known, |known| self.hashes.hash_one(known.key()));
        }
        detected
    }

    fn find(&self, user_agent: &str) -> Detected {
        let (browser, system, device) = self.extractor.extract(user_agent);
        let browser_version = versions::of_browser(browser.as_ref().and_then(|value| value.major));
        let browser = browser.as_ref().map_or(UNKNOWN, |value| &value.family);
        let (major, minor) =
            system.as_ref().map_or((None, None), |value| (value.major.as_deref(), value.minor.as_deref()));
        let system = system.as_ref().map_or(UNKNOWN, |value| &value.os);
        let family = device.as_ref().map_or(UNKNOWN, |value| &value.device);
        let brand = device.as_ref().and_then(|value| value.brand.as_deref()).filter(|brand| is_maker(brand));
        let traffic = match user_agent {
            "" | "-" => TrafficReason::NoUserAgent,
            _ if family == "Spider" => TrafficReason::CrawlerUserAgent,
            _ => self.crawlers.reason(user_agent),
        };
        let is_bot = traffic.class() == TrafficClass::Bot;
        let device = if is_bot { "bot" } else { device_class(user_agent, browser, system, family) };
        let client = Client {
            browser: cut(browser).into(),
            browser_version: browser_version.into(),
            operating_system: cut(system).into(),
            operating_system_version: versions::of_system(system, major, minor).into(),
            device: device.into(),
            device_brand: cut(brand.unwrap_or_default()).into(),
        };
        Detected { client: Arc::new(client), traffic }
    }
}

/// Whether a device brand of uap-core's is somebody's: not `Generic`, `Generic_Android`, `Generic_Feature_Phone` and the like, and not a crawler's.
fn is_maker(brand: &str) -> bool {
    !brand.starts_with("Generic") && brand != "Spider"
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

fn device_class(user_agent: &str, browser: &str, system: &str, family: &str) -> &'static str {
    let names_tablet = |text: &str| ["iPad", "Tablet", "Kindle"].iter().any(|word| text.contains(word));
    if names_tablet(family) || names_tablet(browser) {
        return "tablet";
    }
    if system == "Android" && !user_agent.contains("Mobile") {
        return if user_agent.contains("TV") { "other" } else { "tablet" };
    }
    if PHONE_SYSTEMS.contains(&system) || PHONE_FAMILIES.contains(&family) {
        return "mobile";
    }
    if COMPUTER_SYSTEMS.contains(&system) { "desktop" } else { "other" }
}

/// Spells `{0,100}` as `{00,100}`, which means the same. The `ua-parser` crate drops bounds of three digits to save
/// memory, and then finds `bot` where uap-core's rules do not look; kept, they cost about 75 MB and 0.6 s at start.
fn keep_bounds(regexes: &mut Regexes<'static>) {
    let browsers = regexes.user_agent_parsers.iter_mut().map(|rule| &mut rule.regex);
    let systems = regexes.os_parsers.iter_mut().map(|rule| &mut rule.regex);
    let devices = regexes.device_parsers.iter_mut().map(|rule| &mut rule.regex);
    for regex in browsers.chain(systems).chain(devices) {
        *regex = regex.replace("{0,", "{00,").replace("{1,", "{01,").into();
    }
}

#[cfg(test)]
mod tests;
