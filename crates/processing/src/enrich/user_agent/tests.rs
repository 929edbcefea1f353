//! Real user agents against the real files of uap-core and crawler-user-agents.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::*;

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

use TrafficClass::{Bot, Human};

/// (user agent, class, browser, operating system, device)
const KNOWN: [(&str, TrafficClass, &str, &str, &str); 13] = [
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
    ("entirely unheard of", Human, "Other", "Other", "other"),
];

#[test]
fn user_agents_are_what_they_are() {
    for (user_agent, class, browser, system, device) in KNOWN {
        let client = real().classify(user_agent);
        let found = (client.traffic_class, &*client.browser, &*client.operating_system, &*client.device);
        assert_eq!(found, (class, browser, system, device), "{user_agent}");
        assert_eq!(real().classify(user_agent), client, "the second time: {user_agent}");
    }
}

/// The list brings examples of each crawler.
#[test]
fn every_example_of_the_crawler_list_is_a_bot() {
    #[derive(Deserialize)]
    struct Examples {
        instances: Vec<String>,
    }
    let list: Vec<Examples> =
        serde_json::from_str(&asset("crawler-user-agents/crawler-user-agents.json")).unwrap();
    let examples: Vec<String> = list.into_iter().flat_map(|entry| entry.instances).collect();
    assert!(examples.len() > 1000, "{} examples", examples.len());
    let missed: Vec<&String> = examples.iter().filter(|text| !real().crawlers.is_match(text)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn rules_look_no_further_than_they_say() {
    let rules = "
user_agent_parsers: [{regex: '^.{0,100}(Fox)'}]
os_parsers: [{regex: '^.{1,100}(Linux)'}]
device_parsers: [{regex: '^.{0,100}bot', device_replacement: 'Spider'}]
";
    let detection = Detection::new(rules, r#"[{"pattern": "no such"}]"#).unwrap();
    for (length, class, browser) in [(90, Bot, "Fox"), (99, Bot, "Other"), (101, Human, "Other")] {
        let client = detection.classify(&format!("{}bot Fox", "x".repeat(length)));
        assert_eq!((client.traffic_class, &*client.browser), (class, browser), "{length}");
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
    let before = detection.classify("Firefox/140 Linux");
    for number in 0..CACHE_ENTRIES {
        detection.classify(&number.to_string());
    }
    assert!(detection.cache.lock().unwrap().len() <= CACHE_ENTRIES);
    assert_eq!(detection.classify("Firefox/140 Linux"), before);
}
