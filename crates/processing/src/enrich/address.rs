//! The page's address: path, host, and the `utm_*` parameters of its query.
//!
//! In: the URL as sent. Out: texts short enough for a row. What does not parse (WHATWG rules) has the empty path and
//! no host.

use url::Url;

/// Bytes of a page path; longer ones are cut at a character.
pub const PAGE_PATH_BYTES: usize = 1024;
/// Bytes of a source, medium or campaign; longer ones are cut at a character.
pub const CAMPAIGN_BYTES: usize = 256;

/// A page's address, parsed once.
#[derive(Debug, Default)]
pub struct Address {
    url: Option<Url>,
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

impl Address {
    /// Parses a URL; never fails, see the module.
    pub fn parse(url: &str) -> Self {
        Self { url: Url::parse(url).ok() }
    }

    /// The path without query and fragment; `/` when the URL has none, empty when it does not parse.
    pub fn path(&self) -> &str {
        let Some(url) = &self.url else { return "" };
        match url.path() {
            "" => "/",
            path => cut(path, PAGE_PATH_BYTES),
        }
    }

    /// The host without a leading `www.`; `None` when there is none.
    pub fn host(&self) -> Option<&str> {
        let host = self.url.as_ref()?.host_str()?;
        Some(host.strip_prefix("www.").unwrap_or(host)).filter(|host| !host.is_empty())
    }

    /// The decoded `utm_*` parameters; of one that comes twice the first that is not empty.
    pub fn campaign(&self) -> Campaign {
        let mut campaign = Campaign::default();
        let Some(url) = &self.url else { return campaign };
        for (name, value) in url.query_pairs() {
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
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
