//! The page's address: path, host, query, fragment, and the `utm_*` parameters of its query.
//!
//! In: the URL as sent. Out: texts short enough for a row. What does not parse (WHATWG rules) has the empty path and
//! no host.

use hit::PlainUrl;
use url::{Url, form_urlencoded};

/// Bytes of a page path; longer ones are cut at a character.
pub const PAGE_PATH_BYTES: usize = 1024;
/// Bytes of a page's title; longer ones are cut at a character.
pub const PAGE_TITLE_BYTES: usize = 300;
/// Bytes of a source, medium or campaign; longer ones are cut at a character.
pub const CAMPAIGN_BYTES: usize = 256;

/// A page's address, parsed once.
#[derive(Debug)]
pub enum Address<'a> {
    /// Its parts stand in the text as they are.
    Plain(PlainUrl<'a>),
    /// The WHATWG parser found them.
    Parsed(Box<Url>),
    /// It is none.
    None,
}

/// The `utm_*` parameters that decide a session's acquisition; empty when absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Campaign {
    /// `utm_source`.
    pub source: String,
    /// `utm_medium`.
    pub medium: String,
    /// `utm_campaign`.
    pub name: String,
}

impl<'a> Address<'a> {
    /// Parses a URL; never fails, see the module.
    pub fn parse(url: &'a str) -> Self {
        if url.is_empty() {
            return Self::None;
        }
        match PlainUrl::parse(url) {
            Some(plain) => Self::Plain(plain),
            None => Url::parse(url).map_or(Self::None, |url| Self::Parsed(Box::new(url))),
        }
    }

    /// The path without query and fragment; `/` when the URL has none, empty when it does not parse.
    pub fn path(&self) -> &str {
        let path = match self {
            Self::Plain(plain) => plain.path,
            Self::Parsed(url) => url.path(),
            Self::None => return "",
        };
        if path.is_empty() { "/" } else { cut(path, PAGE_PATH_BYTES) }
    }

    /// The host without a leading `www.`; `None` when there is none.
    pub fn host(&self) -> Option<&str> {
        let host = match self {
            Self::Plain(plain) => plain.host,
            Self::Parsed(url) => url.host_str()?,
            Self::None => return None,
        };
        Some(host.strip_prefix("www.").unwrap_or(host)).filter(|host| !host.is_empty())
    }

    /// Whether the query has a parameter of this name that is not empty.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.query()
            .split('&')
            .any(|pair| pair.split_once('=').is_some_and(|(found, value)| found == name && !value.is_empty()))
    }

    /// The query as it was sent, without `?`; empty: none.
    pub fn query(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.query,
            Self::Parsed(url) => url.query().unwrap_or_default(),
            Self::None => "",
        }
    }

    /// What stands after `#`; empty: nothing.
    pub fn fragment(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.fragment,
            Self::Parsed(url) => url.fragment().unwrap_or_default(),
            Self::None => "",
        }
    }

    /// The decoded `utm_*` parameters; of one that comes twice the first that is not empty.
    pub fn campaign(&self) -> Campaign {
        let mut campaign = Campaign::default();
        for (name, value) in form_urlencoded::parse(self.query().as_bytes()) {
            let field = match name.as_ref() {
                "utm_source" => &mut campaign.source,
                "utm_medium" => &mut campaign.medium,
                "utm_campaign" => &mut campaign.name,
                _ => continue,
            };
            if field.is_empty() {
                *field = cut(value.trim(), CAMPAIGN_BYTES).to_owned();
            }
        }
        campaign
    }
}

/// The longest beginning of at most `bytes` bytes that ends at a character.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
