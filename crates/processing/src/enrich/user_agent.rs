//! What a user agent is: traffic class, browser, operating system, device class.
//!
//! Rules come from outside: uap-core's `regexes.yaml` and the list of crawler-user-agents. The answer depends on the
//! text alone, so the bounded cache cannot be seen from outside.
//!
//! *Bot*: the user agent is empty or `-`, or matches a crawler's pattern, or is no browser's (`crawlers`), or uap-core's device family is
//! `Spider`.
//! *Device*, first rule that holds: `bot` for a bot; `tablet` for a device family, or a browser family, with `iPad`,
//! `Tablet` or `Kindle` in it, and for Android whose user agent lacks the word `Mobile` (Google's convention for
//! tablets; televisions say `TV` and are `other`); `mobile` for a telephone's operating system, or a device family
//! `iPhone`, `iPod`, `Generic Smartphone` or `Generic Feature Phone`; `desktop` for a computer's operating
//! system; else `other`.

mod crawlers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use serde::Deserialize;
use ua_parser::{Extractor, Regexes};

use self::crawlers::Crawlers;
use crate::handover::{Client, TrafficReason};

/// Distinct user agents remembered. At the limit all are forgotten and found again.
const CACHE_ENTRIES: usize = 50_000;
/// What uap-core calls what it does not know.
const UNKNOWN: &str = "Other";

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
    cache: Mutex<HashMap<String, Detected, RandomState>>,
    unknown: Arc<Client>,
}

/// What a user agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Browser, system and device.
    pub client: Arc<Client>,
    /// What the user agent alone speaks for.
    pub traffic: TrafficReason,
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
        Ok(Self { extractor, crawlers, cache: Mutex::default(), unknown })
    }

    /// What this user agent is.
    pub fn classify(&self, user_agent: &str) -> Detected {
        let cached = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(detected) = cached().get(user_agent) {
            return detected.clone();
        }
        // Found outside the lock: another thread may find the same meanwhile, with the same result.
        let detected = self.find(user_agent);
        let mut cache = cached();
        if cache.len() >= CACHE_ENTRIES {
            cache.clear();
        }
        cache.insert(user_agent.to_owned(), detected.clone());
        detected
    }

    /// A visitor of whom a server told, without a user agent: nothing is known, also nothing that a bot would show.
    pub fn unknown(&self) -> Detected {
        Detected { client: Arc::clone(&self.unknown), traffic: TrafficReason::None }
    }

    fn find(&self, user_agent: &str) -> Detected {
        let (browser, system, device) = self.extractor.extract(user_agent);
        let browser = browser.map_or(UNKNOWN.to_owned(), |value| value.family.into_owned());
        let system = system.map_or(UNKNOWN.to_owned(), |value| value.os.into_owned());
        let family = device.map_or(UNKNOWN.to_owned(), |value| value.device.into_owned());
        let traffic = if user_agent.is_empty() || user_agent == "-" {
            TrafficReason::NoUserAgent
        } else if family == "Spider" || self.crawlers.have(user_agent) {
            TrafficReason::CrawlerUserAgent
        } else {
            TrafficReason::None
        };
        let is_bot = traffic != TrafficReason::None;
        let device = if is_bot { "bot" } else { device_class(user_agent, &browser, &system, &family) };
        let client = Client {
            browser: browser.into(),
            browser_version: "".into(),
            operating_system: system.into(),
            operating_system_version: "".into(),
            device: device.into(),
            device_brand: "".into(),
        };
        Detected { client: Arc::new(client), traffic }
    }
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
