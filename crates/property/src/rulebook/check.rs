//! What rules may say: ranges of numbers, lengths of lists, forms of texts.
//!
//! In: one version of the rules, from a merchant or as it is stored. Out: nothing, or the first field that cannot be
//! used, with its value and the way out. Invariant: rules that pass have no list longer than [`LIST_MAX`] (referrers:
//! [`SPAM_REFERRERS_MAX`]) and no text that processing could not compare with.

use std::fmt::Display;
use std::ops::RangeInclusive;

use hit::rules::{
    ChannelRule, CustomDimension, CustomMetric, EventRules, PageGroup, SessionRules, TrafficRules, UrlRules,
};
use hit::{CUSTOM_DIMENSIONS, CUSTOM_METRICS, PAGE_VIEW, Rules, limits};
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
        since_ms: _,
        time_zone,
        currency: _,
        session_timeout_s,
        session_grace_s,
        session,
        traffic,
        privacy: _,
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
    let EventRules { key_events, key_pages, custom, custom_metrics } = events;
    texts("events.key_events", key_events, LIST_MAX, check_event)?;
    texts("events.key_pages", key_pages, LIST_MAX, check_pattern)?;
    check_custom(custom)?;
    check_custom_metrics(custom_metrics)?;
    each("channels", channels, LIST_MAX, check_channel)
}

/// Checks what is refused of rules that are set, and read where it stands already: versions written by earlier builds may say it.
pub(super) fn check_new(rules: &Rules) -> Result<(), Invalid> {
    let passive = rules.session.passive_events.iter().position(|event| event == PAGE_VIEW);
    passive.map_or(Ok(()), |index| {
        let problem = "which is never passive, for whoever looks at a page is there; take it out";
        Err(Invalid::new(format!("session.passive_events[{index}]"), PAGE_VIEW, problem))
    })
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
        allowed_referrers,
        ignored_referrers,
    } = traffic;
    texts("traffic.internal_networks", internal_networks, LIST_MAX, |network| {
        let problem = "which is not a network; write it as 203.0.113.0/24 or 2001:db8::/48, one address with /32 or /128";
        network.parse::<IpNet>().map(drop).map_err(|_| problem)
    })?;
    texts("traffic.spam_referrers", spam_referrers, SPAM_REFERRERS_MAX, check_domain)?;
    texts("traffic.allowed_referrers", allowed_referrers, LIST_MAX, |domain| {
        check_domain(domain)?;
        let problem = "which stands in traffic.spam_referrers too; take it out of one of the two";
        if spam_referrers.iter().any(|spam| spam == domain) { Err(problem) } else { Ok(()) }
    })?;
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

/// A slot means one parameter, and a parameter of event or item needs one slot only.
fn check_custom(custom: &[CustomDimension]) -> Result<(), Invalid> {
    each("events.custom", custom, LIST_MAX, |field, dimension| {
        let CustomDimension { slot, parameter, scope } = dimension;
        number(&format!("{field}.slot"), (*slot).into(), 1..=CUSTOM_DIMENSIONS.into())?;
        check_name(parameter)
            .map_err(|problem| Invalid::new(format!("{field}.parameter"), parameter, problem))?;
        let is_there = |other: &&CustomDimension| {
            other.slot == *slot || (&other.parameter, other.scope) == (parameter, *scope)
        };
        if custom.iter().filter(is_there).count() > 1 {
            let problem = "but another entry has this slot or this parameter; give each parameter one slot";
            return Err(Invalid::new(format!("{field}.slot"), slot, problem));
        }
        Ok(())
    })
}

/// Likewise.
fn check_custom_metrics(metrics: &[CustomMetric]) -> Result<(), Invalid> {
    each("events.custom_metrics", metrics, LIST_MAX, |field, metric| {
        let CustomMetric { slot, parameter } = metric;
        number(&format!("{field}.slot"), (*slot).into(), 1..=CUSTOM_METRICS.into())?;
        check_name(parameter)
            .map_err(|problem| Invalid::new(format!("{field}.parameter"), parameter, problem))?;
        let is_there = |other: &&CustomMetric| other.slot == *slot || other.parameter == *parameter;
        if metrics.iter().filter(is_there).count() > 1 {
            let problem = "but another entry has this slot or this parameter; give each parameter one slot";
            return Err(Invalid::new(format!("{field}.slot"), slot, problem));
        }
        Ok(())
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
mod tests;
