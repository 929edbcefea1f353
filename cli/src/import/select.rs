//! Chooses the page requests of a log and puts them in order of time.
//!
//! Every line has one fate: malformed, skipped with a reason (`method`, `status`, `asset`, `url_too_long`), or kept. Equal
//! times keep the order of the log.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use hit::limits;
use url::Url;

use super::SHOWN_BROKEN_LINES;
use super::log_line::{self, LogLine};
use super::read::Line;

/// Extensions of pages, as opposed to assets.
const PAGE_EXTENSIONS: [&str; 7] = ["html", "htm", "xhtml", "php", "asp", "aspx", "jsp"];

/// A page request that is sent as a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Line of the log, from 1.
    pub line: u64,
    /// When, unix milliseconds.
    pub time_ms: u64,
    /// The client.
    pub address: IpAddr,
    /// As sent by the client; empty: none.
    pub user_agent: String,
    /// Path and query.
    pub target: String,
    /// Empty: none.
    pub referrer: String,
    /// Tells apart lines that are equal to the letter: 0 for the first of them.
    pub occurrence: u32,
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct Selection {
    /// Lines read.
    pub lines: u64,
    /// Lines that are no requests.
    pub malformed: u64,
    /// The first of them, with the reason.
    pub first_malformed: Vec<(u64, String)>,
    /// Requests that are not page requests, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Page requests.
    pub requests: Vec<PageRequest>,
    /// How often each request was seen, by time, client and target: equal lines are as many page views.
    seen: HashMap<(u64, IpAddr, String), u32>,
}

impl Selection {
    /// Takes the next line of the log.
    pub fn take(&mut self, line: Line<'_>) {
        self.lines += 1;
        let parsed = log_line::parse(line.text).map_err(|error| error.to_string());
        match parsed.and_then(|parsed| Self::classify(parsed, line.number)) {
            Ok(Ok(request)) => self.keep(request),
            Ok(Err(reason)) => *self.skipped.entry(reason.to_owned()).or_default() += 1,
            Err(reason) => {
                self.malformed += 1;
                if self.first_malformed.len() < SHOWN_BROKEN_LINES {
                    self.first_malformed.push((line.number, reason));
                }
            }
        }
    }

    /// Puts the requests in order of time.
    pub fn sort(&mut self) {
        self.seen = HashMap::new();
        self.requests.sort_by_key(|request| request.time_ms);
    }

    fn keep(&mut self, mut request: PageRequest) {
        let count = self.seen.entry((request.time_ms, request.address, request.target.clone())).or_default();
        request.occurrence = *count;
        *count += 1;
        self.requests.push(request);
    }

    /// `Err`: malformed; `Ok(Err)`: skipped with a reason.
    fn classify(parsed: LogLine, line: u64) -> Result<Result<PageRequest, &'static str>, String> {
        if parsed.method != "GET" {
            return Ok(Err("method"));
        }
        if !(200..300).contains(&parsed.status) && parsed.status != 304 {
            return Ok(Err("status"));
        }
        let target = origin_form(&parsed.target)
            .ok_or_else(|| "the request target is neither a path nor an http(s) URL".to_owned())?;
        // The host does not matter here: only the path is looked at.
        let url = Url::parse(&format!("http://localhost{target}")).map_err(|error| error.to_string())?;
        if !is_page(url.path()) {
            return Ok(Err("asset"));
        }
        let target = target.to_owned();
        if target.len() > limits::URL_BYTES / 2 && url.as_str().len() > limits::URL_BYTES - 255 {
            return Ok(Err("url_too_long"));
        }
        let referrer =
            if parsed.referrer.len() > limits::URL_BYTES { String::new() } else { parsed.referrer };
        let user_agent = parsed.user_agent.unwrap_or_default();
        Ok(Ok(PageRequest {
            line,
            time_ms: parsed.time_ms,
            address: parsed.address,
            user_agent,
            target,
            referrer,
            occurrence: 0,
        }))
    }
}

/// Path and query of a request target; of a whole http(s) URL what follows its host. `None`: neither.
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme))?;
    let rest = target.get(scheme.len()..)?;
    Some(rest.find(['/', '\\', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or("/"))
}

/// Whether the last segment of the path has no extension, or that of a page.
fn is_page(path: &str) -> bool {
    let segment = path.rsplit('/').next().unwrap_or(path);
    match segment.rsplit_once('.') {
        None => true,
        Some((_, extension)) => PAGE_EXTENSIONS.iter().any(|page| extension.eq_ignore_ascii_case(page)),
    }
}

#[cfg(test)]
mod tests;
