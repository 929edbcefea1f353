//! What browsers say beside the user agent: Client Hints (<https://wicg.github.io/ua-client-hints>, only Chromium's do), and that nobody looks yet.
//!
//! In: headers of a request, `navigator.userAgentData` as JSON, Google's parameters. Out: [`Hints`] within the limits of a hit. What cannot be
//! read is left out: it is not the client's choice.

use std::borrow::Cow;

use hit::{HintsView, limits};
use http::{HeaderMap, HeaderName};
use url::form_urlencoded;

use crate::fit;
use crate::json::Json;
use crate::query::Query;

static BRANDS: HeaderName = HeaderName::from_static("sec-ch-ua");
static FULL_VERSIONS: HeaderName = HeaderName::from_static("sec-ch-ua-full-version-list");
static MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
static PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
static PLATFORM_VERSION: HeaderName = HeaderName::from_static("sec-ch-ua-platform-version");

static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
static PURPOSE: HeaderName = HeaderName::from_static("purpose");
static X_MOZ: HeaderName = HeaderName::from_static("x-moz");

/// Hints of one hit or one request. The device's model is not among them: no report needs it, and it tells people apart. Each text has at most [`limits::HINT_TEXT_BYTES`], empty: not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// Brands with their major versions, the made-up ones left out: `Chromium 142, Google Chrome 142`.
    pub brands: Cow<'a, str>,
    /// `Windows`.
    pub platform: Cow<'a, str>,
    /// `15.0.0`.
    pub platform_version: Cow<'a, str>,
    /// Whether it is a telephone's browser, by itself; absent: not said.
    pub mobile: Option<bool>,
}

impl<'a> Hints<'a> {
    /// Of a request's headers; `None`: its browser sends none. Chromium sends brands and platform with each request, so without them nothing
    /// else is looked for.
    pub fn of_headers(headers: &'a HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
        let first_item =
            |name| fit::cut(text(name).map_or("".into(), |value| item(value).0), limits::HINT_TEXT_BYTES);
        let brands = text(&BRANDS).or_else(|| text(&FULL_VERSIONS));
        if brands.is_none() && !headers.contains_key(&PLATFORM) {
            return None;
        }
        let hints = Self {
            brands: Cow::Owned(brands_of_header(brands.unwrap_or_default())),
            platform: first_item(&PLATFORM),
            platform_version: first_item(&PLATFORM_VERSION),
            mobile: text(&MOBILE).and_then(|value| match value.trim() {
                "?1" => Some(true),
                "?0" => Some(false),
                _ => None,
            }),
        };
        hints.unless_empty()
    }

    /// Of `navigator.userAgentData` and of what its `getHighEntropyValues` gives, with its names, our own or those of Snowplow's context.
    pub(crate) fn of_json(data: &Json<'a>) -> Option<Self> {
        let text = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| data.text(name)).unwrap_or_default();
            fit::cut(found, limits::HINT_TEXT_BYTES)
        };
        let mut brands = Brands::default();
        let lists = ["brands", "fullVersionList"].iter().filter_map(|name| data.get(name));
        // The second list has the same brands.
        if let Some(list) = lists.filter_map(Json::as_list).find(|list| !list.is_empty()) {
            for entry in list {
                let part = |name| entry.text(name).unwrap_or_default();
                brands.add(&part("brand"), &part("version"));
            }
        }
        let hints = Self {
            brands: Cow::Owned(brands.0),
            platform: text(["platform", "platform"]),
            platform_version: text(["platformVersion", "platform_version"]),
            mobile: ["mobile", "isMobile"].iter().find_map(|name| match data.get(name)? {
                Json::Flag(flag) => Some(*flag),
                _ => None,
            }),
        };
        hints.unless_empty()
    }

    /// Of Google's `uafvl` (`Chromium;142.0.7444.60|Not_A%20Brand;99.0.0.0`), `uap`, `uapv` and `uamb`.
    pub(crate) fn of_google(query: &Query<'a>) -> Option<Self> {
        let text = |name| fit::cut(query.get(name).unwrap_or_default(), limits::HINT_TEXT_BYTES);
        let mut brands = Brands::default();
        for entry in query.get("uafvl").iter().flat_map(|list| list.split('|')) {
            let (brand, version) = entry.split_once(';').unwrap_or((entry, ""));
            let decoded = form_urlencoded::parse(brand.as_bytes()).next();
            brands.add(&decoded.map(|(brand, _)| brand).unwrap_or_default(), version);
        }
        let hints = Self {
            brands: Cow::Owned(brands.0),
            platform: text("uap"),
            platform_version: text("uapv"),
            mobile: query.get("uamb").map(|flag| flag == "1"),
        };
        hints.unless_empty()
    }

    /// What a hit says, and where it says nothing what its request does.
    pub fn merged<'b>(of_hit: Option<&'b Self>, of_request: Option<&'b Self>) -> Option<HintsView<'b>> {
        let (first, second) = match (of_hit, of_request) {
            (Some(of_hit), Some(of_request)) => (of_hit, of_request),
            (Some(only), None) | (None, Some(only)) => (only, only),
            (None, None) => return None,
        };
        fn either<'b>(first: &'b str, second: &'b str) -> &'b str {
            if first.is_empty() { second } else { first }
        }
        Some(HintsView {
            brands: either(&first.brands, &second.brands),
            platform: either(&first.platform, &second.platform),
            platform_version: either(&first.platform_version, &second.platform_version),
            mobile: first.mobile.or(second.mobile),
        })
    }

    /// Hints that outlive what they were read from.
    pub(crate) fn into_owned(self) -> Hints<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Hints {
            brands: own(self.brands),
            platform: own(self.platform),
            platform_version: own(self.platform_version),
            mobile: self.mobile,
        }
    }

    fn unless_empty(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// Whether a browser sends this for a page that it loads ahead: `Sec-Purpose: prefetch` or `prefetch;prerender` (Fetch standard),
/// and what older browsers say.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    [&SEC_PURPOSE, &PURPOSE, &X_MOZ]
        .into_iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .any(|value| value.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("prefetch")))
}

/// A list of brands as a hit keeps it.
#[derive(Default)]
struct Brands(String);

impl Brands {
    /// Adds a brand and the major part of its version, unless it is made up or there is no room.
    fn add(&mut self, brand: &str, version: &str) {
        let (brand, before) = (brand.trim(), self.0.len());
        if brand.is_empty() || is_made_up(brand) {
            return;
        }
        if before > 0 {
            self.0.push_str(", ");
        }
        // A comma parts brands here.
        self.0.extend(brand.chars().filter(|char| *char != ','));
        let version = version.trim();
        let end = version.find(|char: char| !char.is_ascii_digit()).unwrap_or(version.len());
        if end > 0 {
            self.0.push(' ');
            self.0.push_str(&version[..end]);
        }
        if self.0.len() > limits::HINT_TEXT_BYTES {
            self.0.truncate(before);
        }
    }
}

/// GREASE: `Not A;Brand`, `Not_A Brand`, `(Not(A:Brand` and so on, which Chromium makes up so that nobody relies on the list.
fn is_made_up(brand: &str) -> bool {
    let letters = brand.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    letters.eq(*b"notabrand")
}

/// `"Chromium";v="142", "Google Chrome";v="142"`.
fn brands_of_header(list: &str) -> String {
    let mut brands = Brands::default();
    let mut rest = list;
    while !rest.is_empty() {
        let (brand, mut after) = item(rest);
        let mut version = Cow::Borrowed("");
        while let Some(parameter) = after.trim_start().strip_prefix(';') {
            let parameter = parameter.trim_start();
            if let Some(value) = parameter.strip_prefix("v=") {
                (version, after) = item(value);
            } else {
                after = &parameter[parameter.find([',', ';']).unwrap_or(parameter.len())..];
            }
        }
        brands.add(&brand, &version);
        rest = after.split_once(',').map_or("", |(_, rest)| rest);
    }
    brands.0
}

/// The first item of a structured header and what follows it: a string without its quotes, or what stands up to `,` or `;` (RFC 8941,
/// sections 3.3.3 and 3.3.4).
fn item(text: &str) -> (Cow<'_, str>, &str) {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (bare, rest) = text.split_at(text.find([',', ';']).unwrap_or(text.len()));
        return (Cow::Borrowed(bare.trim_end()), rest);
    };
    let mut is_escaped = false;
    let end = quoted.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    let (inner, rest) = quoted.split_at(end.unwrap_or(quoted.len()));
    let inner = if inner.contains('\\') { Cow::Owned(inner.replace('\\', "")) } else { Cow::Borrowed(inner) };
    (inner, rest.strip_prefix('"').unwrap_or_default())
}

#[cfg(test)]
mod tests;
