//! What a page is called: its address by the property's rules.
//!
//! In: an address. Out: whether a view of the page is a key event, and the page's path, in this order: with `hash_routing` the part after `#`, where it begins with `/` or `!/`,
//! takes the place of path and query; letters are made lower case; slashes at the end are taken away or one is added; the first
//! group whose pattern fits gives the name; otherwise the query parameters that are kept are appended. Escapes (`%C3`) stay as they
//! were sent. Without rules the path is borrowed as it is.

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;
use hit::{PageGroup, TrailingSlash, UrlRules};
use url::{Host, Url, form_urlencoded};

use crate::enrich::address::{Address, PAGE_PATH_BYTES, cut};

/// What stands for every query parameter.
const ALL: &str = "*";
/// One part of a path, whatever it is.
const ANY_PART: &str = "*";
/// All parts that follow, if any.
const ANY_REST: &str = "**";

/// Rules of page addresses, ready to be asked for each hit.
#[derive(Debug)]
pub struct Pages {
    /// Without `www.`; empty: any.
    hostnames: HashSet<String, RandomState>,
    /// `None`: pages are called by their paths.
    naming: Option<Box<Naming>>,
    /// Pages that the site is there for.
    key_pages: Vec<Pattern>,
}

#[derive(Debug)]
struct Naming {
    keep: Keep,
    lower_case: bool,
    trailing_slash: TrailingSlash,
    hash_routing: bool,
    groups: Vec<Group>,
}

/// Query parameters that are part of the page.
#[derive(Debug)]
enum Keep {
    /// These, in this order.
    Named(Vec<String>),
    /// Every one but these, in the order of the address.
    AllBut(Vec<String>),
}

#[derive(Debug)]
struct Group {
    pattern: Pattern,
    name: String,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<String>,
    /// Whether it ends on `**`.
    takes_rest: bool,
}

impl Pages {
    /// Of these rules; `key_pages` are patterns of paths.
    pub fn new(rules: &UrlRules, key_pages: &[String]) -> Self {
        // As the host of an address: lower case, in ASCII, without `www.`.
        let canonical = |host: &String| {
            let host = Host::parse(host).map_or_else(|_| host.to_ascii_lowercase(), |host| host.to_string());
            host.strip_prefix("www.").map(str::to_owned).unwrap_or(host)
        };
        let names = UrlRules { hostnames: Vec::new(), ..rules.clone() };
        Self {
            hostnames: rules.hostnames.iter().map(canonical).collect(),
            naming: (names != UrlRules::default()).then(|| Box::new(Naming::new(rules))),
            key_pages: key_pages.iter().map(|pattern| Pattern::new(pattern, rules.lower_case)).collect(),
        }
    }

    /// Whether hits of this page are counted; those without a page are.
    pub fn are_counted(&self, page: &Address<'_>) -> bool {
        self.hostnames.is_empty() || page.host().is_none_or(|host| self.hostnames.contains(host))
    }

    /// What the page is called; empty: there is none.
    pub fn name<'a>(&'a self, page: &'a Address<'_>) -> Cow<'a, str> {
        match &self.naming {
            None => Cow::Borrowed(page.path()),
            Some(naming) => naming.name(page),
        }
    }

    /// Whether a view of the page is a key event: by its path, whatever group it is in.
    pub fn is_key_page(&self, page: &Address<'_>) -> bool {
        if self.key_pages.is_empty() {
            return false;
        }
        let path = match &self.naming {
            None => Cow::Borrowed(page.path()),
            Some(naming) => naming.path(naming.route(page).0),
        };
        !path.is_empty() && self.key_pages.iter().any(|pattern| pattern.fits(&path))
    }
}

impl Naming {
    fn new(rules: &UrlRules) -> Self {
        let keep = match rules.keep_parameters.as_slice() {
            [all] if all == ALL => Keep::AllBut(rules.strip_parameters.clone()),
            named => Keep::Named(named.to_vec()),
        };
        let group = |group: &PageGroup| Group::new(group, rules.lower_case);
        Self {
            keep,
            lower_case: rules.lower_case,
            trailing_slash: rules.trailing_slash,
            hash_routing: rules.hash_routing,
            groups: rules.groups.iter().map(group).collect(),
        }
    }

    fn name<'a>(&'a self, page: &'a Address<'_>) -> Cow<'a, str> {
        let (path, query) = self.route(page);
        if path.is_empty() {
            return Cow::Borrowed(path);
        }
        let path = self.path(path);
        if let Some(group) = self.groups.iter().find(|group| group.pattern.fits(&path)) {
            return Cow::Borrowed(cut(&group.name, PAGE_PATH_BYTES));
        }
        let mut page = path;
        let mut separator = '?';
        self.keep.each(query, |pair| {
            let page = page.to_mut();
            page.push(separator);
            page.push_str(pair);
            separator = '&';
        });
        match page {
            Cow::Borrowed(page) => Cow::Borrowed(cut(page, PAGE_PATH_BYTES)),
            Cow::Owned(mut page) => {
                page.truncate(page.floor_char_boundary(PAGE_PATH_BYTES));
                Cow::Owned(page)
            }
        }
    }

    /// Path and query: of the address, or of the part after `#` where that is a path.
    fn route<'a>(&self, page: &'a Address<'_>) -> (&'a str, &'a str) {
        let fragment = page.fragment();
        let route = fragment.strip_prefix('!').unwrap_or(fragment);
        if self.hash_routing && route.starts_with('/') {
            return route.split_once('?').unwrap_or((route, ""));
        }
        (page.path(), page.query())
    }

    /// The path in the letters and with the slash that the rules want.
    fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        self.with_slash(if self.lower_case { lower(path) } else { Cow::Borrowed(path) })
    }

    fn with_slash<'a>(&self, path: Cow<'a, str>) -> Cow<'a, str> {
        match self.trailing_slash {
            TrailingSlash::Strip if path.ends_with('/') => {
                let length = path.trim_end_matches('/').len().max(1);
                match path {
                    Cow::Borrowed(path) => Cow::Borrowed(cut(path, length)),
                    Cow::Owned(mut path) => {
                        path.truncate(length);
                        Cow::Owned(path)
                    }
                }
            }
            TrailingSlash::Add if !path.ends_with('/') && !last_part(&path).contains('.') => {
                Cow::Owned(path.into_owned() + "/")
            }
            _ => path,
        }
    }
}

impl Keep {
    /// Calls `take` with each pair of the query that is kept, as it was sent.
    fn each(&self, query: &str, mut take: impl FnMut(&str)) {
        let name_of = |pair: &str| pair.split_once('=').map_or(pair.len(), |(name, _)| name.len());
        let pairs = || query.split('&').filter(|pair| !pair.is_empty());
        let is = |pair: &str, name: &String| is_called(cut(pair, name_of(pair)), name);
        match self {
            Self::Named(names) => {
                for name in names {
                    pairs().filter(|pair| is(pair, name)).for_each(&mut take);
                }
            }
            Self::AllBut(names) => {
                pairs().filter(|pair| !names.iter().any(|name| is(pair, name))).for_each(&mut take);
            }
        }
    }
}

/// Whether the name of a parameter as it was sent is this one: `user%5Bemail%5D` is `user[email]`.
fn is_called(sent: &str, name: &str) -> bool {
    let decoded = || form_urlencoded::parse(sent.as_bytes()).next();
    sent == name || sent.contains(['%', '+']) && decoded().is_some_and(|(decoded, _)| decoded == name)
}

/// A path as it stands in addresses, which escape what is no letter of ASCII.
fn escaped(path: &str) -> String {
    let Ok(mut url) = Url::parse("http://a.invalid") else { return path.to_owned() };
    url.set_path(path);
    url.path().to_owned()
}

impl Group {
    fn new(group: &PageGroup, lower_case: bool) -> Self {
        let PageGroup { pattern, name } = group;
        let name = name.as_ref().unwrap_or(pattern).clone();
        Self { pattern: Pattern::new(pattern, lower_case), name }
    }
}

impl Pattern {
    fn new(pattern: &str, lower_case: bool) -> Self {
        let pattern = escaped(pattern);
        let pattern = if lower_case { lower(&pattern).into_owned() } else { pattern };
        let mut parts: Vec<String> = parts(&pattern).map(str::to_owned).collect();
        let takes_rest = parts.pop_if(|last| last.as_str() == ANY_REST).is_some();
        Self { parts, takes_rest }
    }

    fn fits(&self, path: &str) -> bool {
        let mut found = parts(path);
        let mut expected = self.parts.iter();
        let begins_so = expected.all(|part| {
            found.next().is_some_and(|found| part == found || part == ANY_PART && !found.is_empty())
        });
        begins_so && (self.takes_rest || found.next().is_none())
    }
}

/// The parts of a path; slashes at its ends separate none.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The path with lower-case letters, ASCII's; escapes stay as they are.
fn lower(path: &str) -> Cow<'_, str> {
    if !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(path);
    }
    let mut digits_left = 0_u8;
    let letters = path.chars().map(|letter| {
        let is_of_escape = digits_left > 0;
        digits_left = if letter == '%' { 2 } else { digits_left.saturating_sub(1) };
        if is_of_escape { letter } else { letter.to_ascii_lowercase() }
    });
    Cow::Owned(letters.collect())
}

#[cfg(test)]
mod tests;
