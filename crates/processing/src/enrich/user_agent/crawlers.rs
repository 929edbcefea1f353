//! Which user agents are not a person's: the list of crawler-user-agents, less the patterns that catch people, and rules of our own.
//!
//! `crawlers.txt` holds the rules and says why each counts. Classes (`\w`, `\b`) are ASCII: a user agent with other letters is matched byte by byte.

use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::{Crawler, DetectionError};
use crate::handover::TrafficReason;

/// Memory a compiled list may take; the longer one of 2026 needs about a tenth.
const SET_BYTES: usize = 256 * 1024 * 1024;

/// The rules, by their headings.
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::parse(include_str!("crawlers.txt")));

#[derive(Default)]
struct Rules {
    left_out: Vec<&'static str>,
    crawlers: Vec<&'static str>,
    driven: Vec<&'static str>,
    browsers: Vec<&'static str>,
}

impl Rules {
    fn parse(text: &'static str) -> Self {
        let mut rules = Self::default();
        let mut heading = "";
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) if !name.contains('[') => heading = name,
                _ if heading == "left out" => rules.left_out.push(line),
                _ if heading == "drives a browser" => rules.driven.push(line),
                _ if heading == "browser" => rules.browsers.push(line),
                _ => rules.crawlers.push(line),
            }
        }
        rules
    }
}

/// Tells crawlers by their user agents.
pub(super) struct Crawlers {
    listed: RegexSet,
    own: RegexSet,
    driven: RegexSet,
    browsers: RegexSet,
}

impl Crawlers {
    /// From the text of crawler-user-agents.json.
    pub(super) fn new(json: &str) -> Result<Self, DetectionError> {
        let crawlers: Vec<Crawler> = serde_json::from_str(json)?;
        if crawlers.is_empty() {
            return Err(DetectionError::Empty("crawler-user-agents.json"));
        }
        let patterns: Vec<&str> = crawlers
            .iter()
            .map(|crawler| crawler.pattern.as_str())
            .filter(|pattern| !RULES.left_out.contains(pattern))
            .collect();
        let listed = RegexSetBuilder::new(&patterns).size_limit(SET_BYTES).build();
        Ok(Self {
            listed: listed.map_err(|error| blame(&patterns, error))?,
            own: own(&RULES.crawlers)?,
            driven: own(&RULES.driven)?,
            browsers: own(&RULES.browsers)?,
        })
    }

    /// What a user agent speaks for: a crawler, something that is no browser, a browser that a tool drives; else nothing.
    pub(super) fn reason(&self, user_agent: &str) -> TrafficReason {
        let bytes = user_agent.as_bytes();
        if self.listed.is_match(bytes) || self.own.is_match(bytes) {
            TrafficReason::CrawlerUserAgent
        } else if !self.browsers.is_match(bytes) {
            TrafficReason::NoBrowser
        } else if self.driven.is_match(bytes) {
            TrafficReason::Headless
        } else {
            TrafficReason::None
        }
    }
}

fn own(patterns: &[&'static str]) -> Result<RegexSet, DetectionError> {
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(SET_BYTES)
        .build()
        .map_err(|error| blame(patterns, error))
}

/// Finds the pattern to name: a set's error does not say which one it was.
fn blame(patterns: &[&str], of_set: regex::Error) -> DetectionError {
    let broken = patterns.iter().find_map(|pattern| {
        let error = regex::bytes::Regex::new(pattern).err()?;
        Some(DetectionError::CrawlerPattern { pattern: (*pattern).to_owned(), error })
    });
    broken.unwrap_or(DetectionError::CrawlerSet(of_set))
}
