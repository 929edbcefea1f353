//! Where a session came from, decided by its first hit.
//!
//! In: addresses of page and referrer. Out: source, medium, campaign. `utm_source` wins; without it the referrer's
//! host speaks, unless it is the site itself; without both the session is `(direct)`.

use crate::enrich::address::{Address, CAMPAIGN_BYTES};
use crate::handover::Acquisition;

/// Search engines by a label of their host: `google` is google.com, www.google.co.uk and so on. Names are ours, hosts
/// are facts.
const SEARCH_LABELS: [&str; 12] = [
    "google",
    "bing",
    "duckduckgo",
    "yahoo",
    "yandex",
    "baidu",
    "ecosia",
    "qwant",
    "startpage",
    "naver",
    "seznam",
    "sogou",
];
/// Search engines whose label is too common a word: whole hosts.
const SEARCH_HOSTS: [(&str, &str); 4] =
    [("search.brave.com", "brave"), ("ask.com", "ask"), ("search.aol.com", "aol"), ("ya.ru", "yandex")];
/// Hosts of a search engine's name that are no search: mail, documents and the like refer as any other site does.
const NOT_SEARCH: [&str; 8] = ["mail", "docs", "drive", "calendar", "meet", "groups", "sites", "classroom"];
/// Social networks by domain; subdomains count (`m.facebook.com`).
const SOCIAL_DOMAINS: [(&str, &str); 22] = [
    ("facebook.com", "facebook"),
    ("fb.com", "facebook"),
    ("fb.me", "facebook"),
    ("instagram.com", "instagram"),
    ("twitter.com", "twitter"),
    ("t.co", "twitter"),
    ("x.com", "twitter"),
    ("linkedin.com", "linkedin"),
    ("lnkd.in", "linkedin"),
    ("reddit.com", "reddit"),
    ("pinterest.com", "pinterest"),
    ("youtube.com", "youtube"),
    ("youtu.be", "youtube"),
    ("tiktok.com", "tiktok"),
    ("vk.com", "vk"),
    ("weibo.com", "weibo"),
    ("tumblr.com", "tumblr"),
    ("quora.com", "quora"),
    ("threads.net", "threads"),
    ("bsky.app", "bluesky"),
    ("mastodon.social", "mastodon"),
    ("xing.com", "xing"),
];

/// Decides source, medium and campaign of a session whose first hit has these addresses. `utm_medium` and
/// `utm_campaign` count only beside a `utm_source`.
pub fn acquisition(page: &Address<'_>, referrer: &str) -> Acquisition {
    let campaign = page.campaign();
    if campaign.source.is_empty() {
        return of_referrer(page, referrer);
    }
    let medium = if campaign.medium.is_empty() { "(not set)".to_owned() } else { campaign.medium };
    Acquisition { source: campaign.source.into(), medium: medium.into(), campaign: campaign.name.into() }
}

fn of_referrer(page: &Address<'_>, referrer: &str) -> Acquisition {
    let from = |source: &str, medium: &str| Acquisition {
        source: source.into(),
        medium: medium.into(),
        campaign: "".into(),
    };
    let referrer = Address::parse(referrer);
    let Some(host) = referrer.host().filter(|host| page.host() != Some(*host)) else {
        return from("(direct)", "(none)");
    };
    if let Some(engine) = search_engine(host) {
        return from(engine, "organic");
    }
    match social_network(host) {
        Some(network) => from(network, "social"),
        None => from(&host[..host.floor_char_boundary(CAMPAIGN_BYTES)], "referral"),
    }
}

/// The engine whose label stands right before a suffix such as `com` or `co.uk`: `google.example.com` is somebody
/// else's host.
fn search_engine(host: &str) -> Option<&'static str> {
    if let Some((_, name)) = SEARCH_HOSTS.iter().find(|(known, _)| *known == host) {
        return Some(name);
    }
    let labels: Vec<&str> = host.split('.').collect();
    if labels.first().is_some_and(|first| NOT_SEARCH.contains(first)) {
        return None;
    }
    let name = match labels.as_slice() {
        [.., name, "co" | "com", country] if country.len() == 2 => name,
        [.., name, _] => name,
        _ => return None,
    };
    SEARCH_LABELS.into_iter().find(|label| label == name)
}

fn social_network(host: &str) -> Option<&'static str> {
    let within =
        |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SOCIAL_DOMAINS.iter().find(|(domain, _)| within(domain)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests;
