//! What rules may say: ranges of numbers, lengths of lists, forms of texts.
//!
//! In: one version of the rules, from a merchant or from a property file. Out: nothing, or the first field that cannot be
//! used, with its value and the way out. Invariant: rules that pass have no list longer than [`LIST_MAX`] (referrers:
//! [`SPAM_REFERRERS_MAX`]) and no text that processing could not compare with.

use std::fmt::Display;
use std::ops::RangeInclusive;

use hit::rules::{ChannelRule, EventRules, PageGroup, SessionRules, TrafficRules, UrlRules};
use hit::{Rules, limits};
use ipnet::IpNet;

use super::known_zone;
use crate::model::{check_hostname, check_name};

/// Longest session time-out and grace, seconds: a session is at most 24 h long.
const SESSION_MAX_S: u32 = 86_400;

/// Most page views that may be asked of an engaged session.
const ENGAGED_PAGE_VIEWS_MAX: u32 = 1000;

/// Most entries of a list.
pub const LIST_MAX: usize = 100;

/// Most entries of `traffic.spam_referrers`.
pub const SPAM_REFERRERS_MAX: usize = 1000;

/// Longest pattern of a group of pages, bytes.
const PATTERN_BYTES: usize = 500;

/// Every query parameter.
const ALL: &str = "*";

/// A value that rules or tracker settings cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value:?}, {problem}")]
pub struct Invalid {
    /// The field, as in the file: `urls.groups[2].pattern`.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, value: impl Display, problem: impl Display) -> Self {
        Self { field: field.into(), value: value.to_string(), problem: problem.to_string() }
    }
}

/// Checks everything but the version.
pub(super) fn check(rules: &Rules) -> Result<(), Invalid> {
    let Rules {
        version: _,
        time_zone,
        session_timeout_s,
        session_grace_s,
        session,
        traffic,
        urls,
        events,
        channels,
    } = rules;
    if known_zone(time_zone).is_none() {
        return Err(unknown_zone(time_zone));
    }
    number("session_timeout_s", *session_timeout_s, 1..=SESSION_MAX_S)?;
    number("session_grace_s", *session_grace_s, 0..=SESSION_MAX_S)?;
    check_session(session)?;
    check_traffic(traffic)?;
    check_urls(urls)?;
    let EventRules { key_events } = events;
    texts("events.key_events", key_events, LIST_MAX, check_event)?;
    each("channels", channels, LIST_MAX, check_channel)
}

pub(super) fn unknown_zone(time_zone: &str) -> Invalid {
    let problem = "which is not a known time zone; use an IANA name such as Europe/Berlin";
    Invalid::new("time_zone", time_zone, problem)
}

fn check_session(session: &SessionRules) -> Result<(), Invalid> {
    let SessionRules {
        cut_at_midnight: _,
        cut_on_campaign: _,
        engaged_after_s,
        engaged_page_views,
        passive_events,
    } = session;
    number("session.engaged_after_s", *engaged_after_s, 0..=SESSION_MAX_S)?;
    number("session.engaged_page_views", *engaged_page_views, 1..=ENGAGED_PAGE_VIEWS_MAX)?;
    texts("session.passive_events", passive_events, LIST_MAX, check_event)
}

fn check_traffic(traffic: &TrafficRules) -> Result<(), Invalid> {
    let TrafficRules {
        automation_is_human: _,
        data_centres_are_human: _,
        internal_networks,
        spam_referrers,
        ignored_referrers,
    } = traffic;
    texts("traffic.internal_networks", internal_networks, LIST_MAX, |network| {
        let problem = "which is not a network; write it as 203.0.113.0/24 or 2001:db8::/48, one address with /32 or /128";
        network.parse::<IpNet>().map(drop).map_err(|_| problem)
    })?;
    texts("traffic.spam_referrers", spam_referrers, SPAM_REFERRERS_MAX, check_domain)?;
    texts("traffic.ignored_referrers", ignored_referrers, LIST_MAX, check_domain)
}

fn check_urls(urls: &UrlRules) -> Result<(), Invalid> {
    let UrlRules {
        hostnames,
        keep_parameters,
        strip_parameters,
        lower_case: _,
        trailing_slash: _,
        hash_routing: _,
        groups,
    } = urls;
    texts("urls.hostnames", hostnames, LIST_MAX, check_hostname)?;
    let keeps_all = matches!(keep_parameters.as_slice(), [all] if all == ALL);
    if !keeps_all {
        texts("urls.keep_parameters", keep_parameters, LIST_MAX, check_parameter)?;
    }
    texts("urls.strip_parameters", strip_parameters, LIST_MAX, check_parameter)?;
    if let (false, Some(first)) = (keeps_all, strip_parameters.first()) {
        let problem = "but only the parameters in urls.keep_parameters stay; take it out of that list, or let \
                       urls.keep_parameters be [\"*\"]";
        return Err(Invalid::new("urls.strip_parameters[0]", first, problem));
    }
    each("urls.groups", groups, LIST_MAX, |field, group| {
        let PageGroup { pattern, name } = group;
        check_pattern(pattern)
            .map_err(|problem| Invalid::new(format!("{field}.pattern"), pattern, problem))?;
        name.iter().try_for_each(|name| {
            check_name(name).map_err(|problem| Invalid::new(format!("{field}.name"), name, problem))
        })
    })
}

fn check_channel(field: &str, channel: &ChannelRule) -> Result<(), Invalid> {
    let ChannelRule { name, source, medium, campaign } = channel;
    check_name(name).map_err(|problem| Invalid::new(format!("{field}.name"), name, problem))?;
    if source.is_empty() && medium.is_empty() && campaign.is_empty() {
        let problem =
            "but it has no condition and would take every visit; give it source, medium or campaign";
        return Err(Invalid::new(format!("{field}.name"), name, problem));
    }
    for (list, texts_of_it) in [("source", source), ("medium", medium), ("campaign", campaign)] {
        texts(&format!("{field}.{list}"), texts_of_it, LIST_MAX, check_name)?;
    }
    Ok(())
}

fn check_event(name: &str) -> Result<(), String> {
    let most = limits::EVENT_CHARS;
    if (1..=most).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("which no event can be called: names have 1 to {most} printable characters"))
}

/// A host name with a dot, so that it can be a registrable domain.
fn check_domain(domain: &str) -> Result<(), &'static str> {
    check_hostname(domain)
        .ok()
        .filter(|()| domain.contains('.'))
        .ok_or("which is not a domain; write it as in example.com, without scheme, port or path")
}

fn check_parameter(name: &str) -> Result<(), String> {
    let most = limits::PARAM_KEY_BYTES;
    if name == ALL {
        return Err(
            "which stands alone, and only in urls.keep_parameters; name parameters, or let that be [\"*\"]"
                .into(),
        );
    }
    let is_name = |c: char| !(c.is_control() || c.is_whitespace() || matches!(c, '&' | '=' | '#' | '?'));
    if (1..=most).contains(&name.len()) && name.chars().all(is_name) {
        return Ok(());
    }
    Err(format!(
        "which is not a parameter's name: 1 to {most} bytes without spaces and the characters & = # ?"
    ))
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("which is longer than {PATTERN_BYTES} bytes; use * and ** for what differs"));
    }
    let Some(path) = pattern.strip_prefix('/') else {
        return Err("which does not begin with /; write it as in /product/*/reviews".into());
    };
    if path.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#')) {
        return Err(
            "which is not a path: it has no spaces, ? or #; parameters are kept by urls.keep_parameters"
                .into(),
        );
    }
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        match part {
            "**" if parts.peek().is_some() => {
                return Err("in which ** is not at the end; write * for each part before the end".into());
            }
            "*" | "**" => {}
            part if part.contains('*') => {
                return Err(format!("in which * is not a whole part but in {part:?}; write * for the part"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn number(field: &str, value: u32, range: RangeInclusive<u32>) -> Result<(), Invalid> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(Invalid::new(field, value, format!("which does not lie between {least} and {most}")))
}

fn texts<E: Display>(
    field: &str,
    list: &[String],
    most: usize,
    check: impl Fn(&str) -> Result<(), E>,
) -> Result<(), Invalid> {
    each(field, list, most, |field, text| check(text).map_err(|problem| Invalid::new(field, text, problem)))
}

fn each<T>(
    field: &str,
    list: &[T],
    most: usize,
    check: impl Fn(&str, &T) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    if list.len() > most {
        let problem = format!("which is more than the {most} entries that it may have; leave some out");
        return Err(Invalid::new(field, format!("a list of {}", list.len()), problem));
    }
    list.iter().enumerate().try_for_each(|(index, entry)| check(&format!("{field}[{index}]"), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a change to rules at their defaults.
    fn said(change: impl Fn(&mut Rules)) -> String {
        let mut rules = Rules::first("UTC");
        change(&mut rules);
        check(&rules).map_or_else(|invalid| invalid.to_string(), |()| String::new())
    }

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn group(pattern: &str) -> PageGroup {
        PageGroup { pattern: pattern.into(), name: None }
    }

    fn channel(name: &str, source: &[&str]) -> ChannelRule {
        ChannelRule { name: name.into(), source: list(source), medium: vec![], campaign: vec![] }
    }

    #[test]
    fn good_rules_pass() {
        assert_eq!(said(|_| ()), "");
        assert_eq!(
            said(|rules| {
                rules.session_timeout_s = 86_400;
                rules.session_grace_s = 0;
                rules.session.passive_events = list(&["heartbeat", "ü ✓"]);
                rules.traffic.internal_networks = list(&["203.0.113.0/24", "2001:db8::/48", "192.0.2.7/32"]);
                rules.traffic.spam_referrers = vec!["spam.example".to_owned(); 1000];
                rules.traffic.ignored_referrers = list(&["bank.example"]);
                rules.urls.hostnames = list(&["localhost", "www.example.com"]);
                rules.urls.keep_parameters = list(&["*"]);
                rules.urls.strip_parameters = list(&["utm_id", "a[]"]);
                rules.urls.groups = ["/", "/a/*/b", "/a/**", "/**", "/*"].map(group).into();
                rules.events.key_events = vec!["signup".to_owned(); 100];
                rules.channels = vec![channel("Partner", &["*.partner.example"])];
            }),
            ""
        );
    }

    #[test]
    fn bad_numbers_and_lists_are_refused_with_their_limits() {
        for (said, expected) in [
            (
                said(|r| r.session_timeout_s = 0),
                "session_timeout_s is \"0\", which does not lie between 1 and 86400",
            ),
            (
                said(|r| r.session_grace_s = 86_401),
                "session_grace_s is \"86401\", which does not lie between 0 and 86400",
            ),
            (
                said(|r| r.session.engaged_page_views = 0),
                "session.engaged_page_views is \"0\", which does not lie",
            ),
            (said(|r| r.session.engaged_after_s = 86_401), "session.engaged_after_s is \"86401\""),
            (
                said(|r| r.events.key_events = vec!["a".to_owned(); 101]),
                "events.key_events is \"a list of 101\", which is more than the 100 entries",
            ),
            (
                said(|r| r.traffic.spam_referrers = vec!["a.b".to_owned(); 1001]),
                "traffic.spam_referrers is \"a list of 1001\", which is more than the 1000 entries",
            ),
            (said(|r| r.urls.groups = vec![group("/a"); 101]), "urls.groups is \"a list of 101\""),
            (said(|r| r.channels = vec![channel("A", &["a"]); 101]), "channels is \"a list of 101\""),
        ] {
            assert!(said.starts_with(expected), "{said:?} is not {expected:?}");
        }
    }

    #[test]
    fn bad_texts_are_refused_by_field_with_the_way_out() {
        let long = "x".repeat(101);
        for (said, field, way_out) in [
            (said(|r| r.time_zone = "Mars".into()), "time_zone is \"Mars\"", "Europe/Berlin"),
            (
                said(|r| r.traffic.internal_networks = list(&["10.0.0.0/8", "192.0.2.7"])),
                "traffic.internal_networks[1] is \"192.0.2.7\"",
                "/32",
            ),
            (
                said(|r| r.traffic.internal_networks = list(&["10.0.0.0/33"])),
                "traffic.internal_networks[0]",
                "/24",
            ),
            (
                said(|r| r.traffic.spam_referrers = list(&["https://a.b"])),
                "traffic.spam_referrers[0]",
                "example.com",
            ),
            (
                said(|r| r.traffic.ignored_referrers = list(&["bank"])),
                "traffic.ignored_referrers[0]",
                "example.com",
            ),
            (
                said(|r| r.urls.hostnames = list(&["a.b", "A.b"])),
                "urls.hostnames[1] is \"A.b\"",
                "www.example.com",
            ),
            (
                said(|r| r.urls.keep_parameters = list(&["*", "q"])),
                "urls.keep_parameters[0] is \"*\"",
                "[\"*\"]",
            ),
            (
                said(|r| r.urls.keep_parameters = list(&["a=b"])),
                "urls.keep_parameters[0] is \"a=b\"",
                "without",
            ),
            (
                said(|r| r.urls.strip_parameters = list(&["q"])),
                "urls.strip_parameters[0] is \"q\"",
                "[\"*\"]",
            ),
            (
                said(|r| r.urls.groups = vec![group("/a"), group("a/*")]),
                "urls.groups[1].pattern is \"a/*\"",
                "/product",
            ),
            (
                said(|r| r.urls.groups = vec![group("/**/a")]),
                "urls.groups[0].pattern is \"/**/a\"",
                "write *",
            ),
            (said(|r| r.urls.groups = vec![group("/a*")]), "urls.groups[0].pattern is \"/a*\"", "write *"),
            (
                said(|r| r.urls.groups = vec![group("/a?b")]),
                "urls.groups[0].pattern is \"/a?b\"",
                "keep_parameters",
            ),
            (
                said(|r| r.urls.groups = vec![PageGroup { name: Some(" ".into()), ..group("/a") }]),
                "urls.groups[0].name is \" \"",
                "1 to 100",
            ),
            (said(|r| r.events.key_events = list(&[&long])), "events.key_events[0]", "1 to 100"),
            (
                said(|r| r.session.passive_events = list(&[""])),
                "session.passive_events[0] is \"\"",
                "1 to 100",
            ),
            (said(|r| r.channels = vec![channel("", &["a"])]), "channels[0].name is \"\"", "1 to 100"),
            (
                said(|r| r.channels = vec![channel("A", &[])]),
                "channels[0].name is \"A\"",
                "source, medium or campaign",
            ),
            (
                said(|r| r.channels = vec![channel("A", &["a", ""])]),
                "channels[0].source[1] is \"\"",
                "1 to 100",
            ),
        ] {
            assert!(said.starts_with(field) && said.contains(way_out), "{said:?} is not about {field:?}");
        }
    }
}
