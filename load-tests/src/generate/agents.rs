//! User agents, languages and screens of visitors.
//!
//! Out: as many different user agents as asked for, made of real browsers, versions and systems in the form that the
//! browsers send (facts from their documentation), and a handful of crawlers. What a visitor has is a function of his number.

use super::mix;
use super::pages::index;

const LANGUAGES: [&str; 8] = ["en-us", "en-gb", "de-de", "fr-fr", "es-es", "pt-br", "ja-jp", "hi-in"];
const SCREENS: [&str; 6] = ["1920x1080", "1440x900", "390x844", "412x915", "2560x1440", "820x1180"];
const CRAWLERS: [&str; 5] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
];

/// The user agents.
#[derive(Debug, Clone)]
pub struct Agents {
    texts: Vec<Box<str>>,
    humans: usize,
}

impl Agents {
    /// So many different browsers, and the crawlers behind them.
    pub fn new(count: u32) -> Self {
        let mut texts: Vec<Box<str>> = (0..u64::from(count)).map(|number| browser(number).into()).collect();
        let humans = texts.len();
        texts.extend(CRAWLERS.map(Box::from));
        Self { texts, humans }
    }

    /// All of them; a request's `agent` is an index into it.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    /// The text of one.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", AsRef::as_ref)
    }

    pub(super) fn human(&self, visitor: u64) -> u32 {
        u32::try_from(index(mix(visitor, 4), self.humans)).unwrap_or(0)
    }

    pub(super) fn bot(&self, visitor: u64) -> u32 {
        u32::try_from(self.humans + index(visitor, CRAWLERS.len())).unwrap_or(0)
    }

    pub(super) fn language(&self, visitor: u64) -> &'static str {
        LANGUAGES[index(mix(visitor, 5), LANGUAGES.len())]
    }

    pub(super) fn screen(&self, visitor: u64) -> &'static str {
        SCREENS[index(mix(visitor, 6), SCREENS.len())]
    }
}

/// A browser: its kind goes round, its version and build tell it from others of its kind.
fn browser(number: u64) -> String {
    let (kind, rest) = (number % 6, number / 6);
    let (version, build) = (110 + rest % 30, rest / 30);
    match kind {
        0 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.{build}.0 Safari/537.36"
        ),
        1 => format!(
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.{build}.0 Mobile Safari/537.36"
        ),
        2 => format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{build} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/17.{version} Mobile/15E148 Safari/604.1"
        ),
        3 => format!(
            "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.{build}) Gecko/20100101 Firefox/{version}.{build}"
        ),
        4 => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/17.{version}.{build} Safari/605.1.15"
        ),
        _ => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.0.0 Safari/537.36 Edg/{version}.0.{build}.0"
        ),
    }
}
