//! Real user agents against the real files of uap-core and crawler-user-agents.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::*;
use crate::handover::TrafficClass;

mod expectations;
mod modern;

fn asset(path: &str) -> String {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../third-party/node_modules");
    let folder = std::env::var_os("MERIDIAN_ASSETS").map_or(PathBuf::from(default), PathBuf::from);
    let path = folder.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): run `make setup`, or set MERIDIAN_ASSETS", path.display())
    })
}

fn real() -> &'static Detection {
    static REAL: OnceLock<Detection> = OnceLock::new();
    REAL.get_or_init(|| {
        let crawlers = asset("crawler-user-agents/crawler-user-agents.json");
        Detection::new(&asset("uap-core/regexes.yaml"), &crawlers).unwrap()
    })
}

use TrafficClass::{Automation, Bot, Human};

/// (user agent, class, browser, operating system, device)
const KNOWN: [(&str, TrafficClass, &str, &str, &str); 16] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        Human,
        "Chrome",
        "Windows",
        "desktop",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        Human,
        "Safari",
        "Mac OS X",
        "desktop",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        Human,
        "Firefox",
        "Linux",
        "desktop",
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        Human,
        "Chrome",
        "Chrome OS",
        "desktop",
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        Human,
        "Mobile Safari",
        "iOS",
        "mobile",
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
        Human,
        "Mobile Safari",
        "iOS",
        "tablet",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
        Human,
        "Chrome Mobile",
        "Android",
        "mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        Human,
        "Chrome",
        "Android",
        "tablet",
    ),
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        Bot,
        "Googlebot",
        "Other",
        "bot",
    ),
    ("curl/8.5.0", Bot, "curl", "Other", "bot"),
    ("", Bot, "Other", "Other", "bot"),
    ("-", Bot, "Other", "Other", "bot"),
    ("entirely unheard of", Bot, "Other", "Other", "bot"),
    // Android 15's build, which crawler-user-agents lists.
    (
        "Mozilla/5.0 (Linux; Android 15; RMX3853 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/138.0.7204.63 Mobile Safari/537.36",
        Human,
        "Chrome Mobile WebView",
        "Android",
        "mobile",
    ),
    ("Mozilla/5.0 (compatible; Some Survey Robot 1.0)", Bot, "Some Survey Robot", "Other", "bot"),
    ("Mozilla/5.0 Firefox/142.0", Bot, "Firefox", "Other", "bot"),
];

#[test]
fn user_agents_are_what_they_are() {
    for (user_agent, class, browser, system, device) in KNOWN {
        let Detected { client, traffic } = real().classify(user_agent, None);
        let found = (traffic.class(), &*client.browser, &*client.operating_system, &*client.device);
        assert_eq!(found, (class, browser, system, device), "{user_agent}");
        assert_eq!(
            real().classify(user_agent, None),
            Detected { client, traffic },
            "the second time: {user_agent}"
        );
    }
}

/// A list that detection does not use.
fn foreign(path: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/user-agents")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): run `scripts/setup.sh test`", path.display())
    })
}

/// The examples that the crawler list brings.
fn examples() -> Vec<String> {
    #[derive(Deserialize)]
    struct Examples {
        instances: Vec<String>,
    }
    let list: Vec<Examples> =
        serde_json::from_str(&asset("crawler-user-agents/crawler-user-agents.json")).unwrap();
    list.into_iter().flat_map(|entry| entry.instances).collect()
}

#[test]
fn crawlers_of_another_list_are_found() {
    let known: HashSet<String> = examples().into_iter().collect();
    let list = foreign("data/crawlers.txt");
    let foreign: HashSet<&str> =
        list.lines().filter(|line| !line.is_empty() && !known.contains(*line)).collect();
    let missed = foreign.iter().filter(|text| real().classify(text, None).traffic.class() == Human).count();
    println!("{} of {} crawlers are missed", missed, foreign.len());
    assert!(foreign.len() > 2_500, "{} crawlers", foreign.len());
    assert!(missed * 100 <= foreign.len() * 5, "more than 5 %: {missed} of {}", foreign.len());
}

#[test]
fn browsers_of_another_list_are_no_crawlers() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Browser {
        user_agent: String,
    }
    let list = foreign("node_modules/user-agents/dist/user-agents.json");
    let browsers: Vec<Browser> = serde_json::from_str(&list).unwrap();
    let different: HashSet<&str> = browsers.iter().map(|browser| browser.user_agent.as_str()).collect();
    let caught: Vec<_> =
        different.iter().filter(|text| real().classify(text, None).traffic.class() != Human).collect();
    println!("{} of {} browsers are taken for crawlers", caught.len(), different.len());
    assert!(different.len() > 500, "{} browsers", different.len());
    assert!(caught.len() * 1000 <= different.len(), "more than 0.1 %: {caught:#?}");
}

/// The list brings examples of each crawler. Those of the patterns that are left out may be people's.
#[test]
fn examples_of_the_crawler_list_are_not_human() {
    let examples = examples();
    assert!(examples.len() > 1000, "{} examples", examples.len());
    let missed: Vec<&String> =
        examples.iter().filter(|text| real().crawlers.reason(text) == TrafficReason::None).collect();
    assert!(missed.len() * 1000 <= examples.len() * 5, "more than 0.5 %: {missed:#?}");
}

#[test]
fn rules_look_no_further_than_they_say() {
    let rules = "
user_agent_parsers: [{regex: '^.{0,100}(Fox)'}]
os_parsers: [{regex: '^.{1,100}(Linux)'}]
device_parsers: [{regex: '^.{0,100}zot', device_replacement: 'Spider'}]
";
    let detection = Detection::new(rules, r#"[{"pattern": "no such"}]"#).unwrap();
    for (length, class, browser) in [(90, Bot, "Fox"), (99, Bot, "Other"), (101, Human, "Other")] {
        let Detected { client, traffic } =
            detection.classify(&format!("{}zot Fox Android", "x".repeat(length)), None);
        assert_eq!((traffic.class(), &*client.browser), (class, browser), "{length}");
    }
}

const RULES: &str = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";

fn refusal(yaml: &str, json: &str) -> String {
    Detection::new(yaml, json).err().unwrap().to_string()
}

#[test]
fn broken_rules_are_refused_by_name() {
    assert!(refusal("a: b", "[]").starts_with("uap-core's regexes.yaml does not parse"));
    assert!(refusal(RULES, "{").starts_with("crawler-user-agents.json does not parse"));
    assert!(refusal(RULES, "[]").starts_with("crawler-user-agents.json holds no rule"));
    let named = refusal(RULES, r#"[{"pattern": "fine"}, {"pattern": "bro(ken"}]"#);
    assert!(named.contains(r#"does not compile: "bro(ken""#), "{named}");
}

#[test]
fn cache_at_its_limit_is_not_seen() {
    let detection = Detection::new(RULES, r#"[{"pattern": "x"}]"#).unwrap();
    let before = detection.classify("Mozilla/5.0 (X11; Linux) Firefox/140", None);
    for number in 0..CACHE_ENTRIES {
        detection.classify(&number.to_string(), None);
    }
    assert!(detection.cache.lock().unwrap().len() <= CACHE_ENTRIES);
    assert_eq!(detection.classify("Mozilla/5.0 (X11; Linux) Firefox/140", None), before);
}
