//! Pages, referrers and campaigns: tables of texts that are made once.
//!
//! In: numbers of pages and visitors. Out: the same texts for the same numbers, written into a buffer. A referrer and a
//! campaign belong to a visitor: how he came.

use bytes::BytesMut;
use rand::rngs::SmallRng;
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use super::{mix, zipf};

const SECTIONS: [&str; 12] = [
    "products",
    "collections",
    "blog",
    "sale",
    "guides",
    "brands",
    "gifts",
    "women",
    "men",
    "kids",
    "home",
    "help",
];
const WORDS: [&str; 16] = [
    "blue", "linen", "oak", "running", "classic", "organic", "winter", "leather", "shoes", "lamp", "jacket",
    "table", "mug", "backpack", "scarf", "notebook",
];
/// External referrers by how often they come, in hundredths; the rest come directly.
const REFERRERS: [(&str, u64); 8] = [
    ("https://www.google.com/", 35),
    ("https://www.bing.com/search", 6),
    ("https://duckduckgo.com/", 4),
    ("https://www.instagram.com/", 8),
    ("https://l.facebook.com/l.php", 7),
    ("https://www.youtube.com/watch", 4),
    ("https://chatgpt.com/", 3),
    ("https://news.ycombinator.com/item", 1),
];
const CAMPAIGNS: [&str; 5] = [
    "?utm_source=newsletter&utm_medium=email&utm_campaign=november",
    "?utm_source=google&utm_medium=cpc&utm_campaign=brand",
    "?utm_source=instagram&utm_medium=social&utm_campaign=launch",
    "?utm_source=partner&utm_medium=affiliate&utm_campaign=gifts",
    "?utm_source=google&utm_medium=cpc&utm_campaign=shopping",
];
/// One visitor in so many comes by a campaign.
const CAMPAIGN_ONE_IN: u64 = 8;

/// The tables.
pub struct Pages {
    popularity: WeightedAliasIndex<f64>,
    paths: Vec<Box<str>>,
}

impl Pages {
    /// So many pages, the popularity of which falls with their rank.
    pub fn new(count: u32, exponent: f64) -> Self {
        let path = |number: u64| {
            let word = |salt: u64| WORDS[index(mix(number, salt), WORDS.len())];
            let section = SECTIONS[index(mix(number, 0), SECTIONS.len())];
            match number {
                0 => "/".into(),
                _ => format!("/{section}/{}-{}-{number}", word(1), word(2)).into_boxed_str(),
            }
        };
        Self { popularity: zipf(count as usize, exponent), paths: (0..u64::from(count)).map(path).collect() }
    }

    /// Number of a page.
    pub fn draw(&self, random: &mut SmallRng) -> usize {
        self.popularity.sample(random)
    }

    /// Its path.
    pub fn path(&self, page: usize) -> &str {
        &self.paths[page]
    }

    pub(super) fn push_path(&self, body: &mut BytesMut, page: usize) {
        body.extend_from_slice(self.paths[page].as_bytes());
    }

    /// Its title: the last part of its path.
    pub(super) fn push_title(&self, body: &mut BytesMut, page: usize) {
        let name = self.paths[page].rsplit('/').next().unwrap_or_default();
        body.extend_from_slice(if name.is_empty() { "Welcome" } else { name }.as_bytes());
    }

    /// The visitor's campaign as a query, or nothing.
    pub(super) fn push_campaign(&self, body: &mut BytesMut, visitor: u64) {
        let drawn = mix(visitor, 2);
        if drawn.is_multiple_of(CAMPAIGN_ONE_IN) {
            body.extend_from_slice(CAMPAIGNS[index(drawn / CAMPAIGN_ONE_IN, CAMPAIGNS.len())].as_bytes());
        }
    }

    /// Where the visitor came from, or nothing.
    pub(super) fn push_referrer(&self, body: &mut BytesMut, visitor: u64) {
        let mut drawn = mix(visitor, 3) % 100;
        for (referrer, share) in REFERRERS {
            if drawn < share {
                body.extend_from_slice(referrer.as_bytes());
                return;
            }
            drawn -= share;
        }
    }
}

/// One of `count`, by a number that is spread evenly.
pub(super) fn index(number: u64, count: usize) -> usize {
    usize::try_from(number % count.max(1) as u64).unwrap_or(0)
}
