//! Where visits come from: which hosts are search engines, social networks, shops, videos, assistants, payment gateways, and spam.
//!
//! Files of facts, `sources.tsv`, `gateways.txt` and `spam.txt`, and look-ups in them. In: a host. Out: the name that reports show, and the
//! category that decides medium and channel. Those who name a source themselves (`utm_source=fb`) are found by the same texts.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// A search engine.
    Search,
    /// A social network.
    Social,
    /// Videos.
    Video,
    /// A shop, or a search for goods.
    Shopping,
    /// An assistant that answers in sentences.
    Assistant,
}

/// A known source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// What reports show: `google`.
    pub name: &'static str,
    /// What it is.
    pub category: Category,
}

/// Country suffixes under which the hosts with `*` are written out for those who compare whole texts.
const SUFFIXES: [&str; 34] = [
    "com", "co.uk", "de", "fr", "es", "it", "nl", "be", "at", "ch", "pl", "se", "dk", "no", "fi", "pt", "ie",
    "cz", "gr", "ru", "com.tr", "com.br", "com.mx", "com.ar", "ca", "com.au", "co.nz", "co.in", "in",
    "co.jp", "jp", "co.kr", "com.sg", "co.za",
];

static FACTS: LazyLock<Facts> =
    LazyLock::new(|| Facts::parse(include_str!("sources.tsv"), include_str!("gateways.txt")));

static SPAM: LazyLock<HashSet<&'static str>> = LazyLock::new(|| lines(include_str!("spam.txt")).collect());

#[derive(Default)]
struct Facts {
    /// `None`: taken out of a wider entry.
    hosts: HashMap<&'static str, Option<Source>>,
    /// Labels before a public suffix.
    labels: HashMap<&'static str, Option<Source>>,
    gateways: Vec<&'static str>,
}

impl Facts {
    fn parse(sources: &'static str, gateways: &'static str) -> Self {
        let mut facts = Self::default();
        for line in sources.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (Some(category), Some(name), Some(hosts)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let source = category_of(category).map(|category| Source { name, category });
            for host in hosts.split(' ') {
                match host.strip_suffix(".*") {
                    Some(label) => facts.labels.insert(label, source),
                    None => facts.hosts.insert(host, source),
                };
            }
        }
        facts.gateways = lines(gateways).collect();
        facts
    }

    /// The longest entry that a host lies in.
    fn find(&self, host: &str) -> Option<Source> {
        let mut rest = Some(host);
        while let Some(suffix) = rest {
            if let Some(found) = self.hosts.get(suffix) {
                return *found;
            }
            let after = suffix.split_once('.');
            if let Some((label, tail)) = after
                && is_public_suffix(tail)
                && let Some(found) = self.labels.get(label)
            {
                return *found;
            }
            rest = after.map(|(_, tail)| tail);
        }
        None
    }
}

/// The lines of a file of hosts that are not comments.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn category_of(text: &str) -> Option<Category> {
    match text {
        "search" => Some(Category::Search),
        "social" => Some(Category::Social),
        "video" => Some(Category::Video),
        "shopping" => Some(Category::Shopping),
        "assistant" => Some(Category::Assistant),
        _ => None,
    }
}

/// `com`, `de`, `co.uk`, `com.br`: what stands after the name of a company that is in many countries.
fn is_public_suffix(tail: &str) -> bool {
    match tail.split_once('.') {
        None => !tail.is_empty(),
        Some(("co" | "com" | "net" | "org", country)) => country.len() == 2 && !country.contains('.'),
        Some(_) => false,
    }
}

/// The source that a host belongs to. The host is lower case; `www.` makes no difference.
pub fn find(host: &str) -> Option<Source> {
    FACTS.find(host)
}

/// Whether a host is a payment gateway's, or a page in the middle of paying: nobody comes from there of their own accord.
pub fn is_payment_gateway(host: &str) -> bool {
    let within = |gateway: &&str| {
        host.strip_suffix(*gateway).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    FACTS.gateways.iter().any(within)
}

/// Whether a referrer's host is a spammer's: it is on Matomo's list of them, or below an entry. Sites that never linked here are
/// named as referrers so that whoever reads the report looks at them. The host is lower case, in its `xn--` form.
pub fn is_spam_referrer(host: &str) -> bool {
    with_parents(host).any(|domain| SPAM.contains(domain))
}

/// A host and the domains above it: `a.b.example`, `b.example`, `example`.
pub fn with_parents(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |rest| rest.split_once('.').map(|(_, tail)| tail))
}

/// Every text of a category, lower case, sorted: names, hosts, and hosts under many countries' suffixes.
pub fn texts(category: Category) -> Vec<String> {
    let is_it = |source: &Option<Source>| source.is_some_and(|source| source.category == category);
    let name = |source: &Option<Source>| source.map(|source| source.name.to_owned());
    let hosts = FACTS.hosts.iter().filter(|(_, source)| is_it(source));
    let labels = FACTS.labels.iter().filter(|(_, source)| is_it(source));
    let mut texts: Vec<String> = hosts
        .flat_map(|(host, source)| [Some((*host).to_owned()), name(source)])
        .chain(labels.flat_map(|(label, source)| {
            let everywhere = SUFFIXES.iter().map(move |suffix| Some(format!("{label}.{suffix}")));
            everywhere.chain([name(source)])
        }))
        .flatten()
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests;
