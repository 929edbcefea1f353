//! Fits what other products' clients send into the limits of a hit: their limits are not ours, and no such client would
//! understand a refusal. Texts are cut at a character; ids, which must not fall together, become a hash of themselves.

use std::borrow::Cow;
use std::hash::Hasher;

use hit::{Parameter, PlainUrl, limits, parameter};
use siphasher::sip128::{Hasher128, SipHasher24};
use url::Url;

use crate::json::Json;
use crate::parsed::ParsedHit;

impl<'a> ParsedHit<'a> {
    /// An event's name. `pageview` and its like are the caller's to translate.
    pub(crate) fn fit_event(&mut self, name: Cow<'a, str>) {
        let end = name.char_indices().nth(limits::EVENT_CHARS).map_or(name.len(), |(end, _)| end);
        self.event = keep(name, end);
    }

    /// A page: an absolute URL with a host. That of an app, `app://localhost/pricing`, becomes `https`. Gives whether it is one.
    pub(crate) fn fit_url(&mut self, url: Cow<'a, str>) -> bool {
        let url = cut(url, limits::URL_BYTES);
        if let Cow::Borrowed(borrowed) = url
            && let Some(plain) = PlainUrl::parse(borrowed)
        {
            (self.url, self.host) = (url, Cow::Borrowed(plain.host));
            return true;
        }
        let Ok(parsed) = Url::parse(&url) else { return false };
        let Some(host) = parsed.host_str().filter(|host| !host.is_empty()) else { return false };
        self.host = Cow::Owned(host.to_owned());
        self.url = match parsed.scheme() {
            "http" | "https" => url,
            scheme => {
                cut(Cow::Owned(format!("https{}", &parsed.as_str()[scheme.len()..])), limits::URL_BYTES)
            }
        };
        true
    }

    /// A referrer.
    pub(crate) fn fit_referrer(&mut self, referrer: Cow<'a, str>) {
        self.referrer = cut(referrer, limits::URL_BYTES);
    }

    /// A page's title.
    pub(crate) fn fit_title(&mut self, title: Cow<'a, str>) {
        self.title = cut(title, limits::TITLE_BYTES);
    }

    /// A language tag; one that is none is left out. Of a list as in `Accept-Language`, the first.
    pub(crate) fn fit_language(&mut self, language: &str) {
        let first = language.split([',', ';']).next().unwrap_or_default().trim();
        let is_tag = first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if is_tag && first.len() <= limits::LANGUAGE_BYTES {
            self.language = Cow::Owned(first.to_owned());
        }
    }

    /// A screen, `1440x900`; one that is none is left out.
    pub(crate) fn fit_screen(&mut self, screen: Cow<'a, str>) {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_size = screen.split_once('x').is_some_and(|(width, height)| number(width) && number(height));
        if is_size && screen.len() <= limits::SCREEN_BYTES {
            self.screen = screen;
        }
    }

    /// The client's visitor id.
    pub(crate) fn fit_client_id(&mut self, id: Cow<'a, str>) {
        self.client_id = fit_id(id, limits::CLIENT_ID_BYTES);
    }

    /// The client's session id.
    pub(crate) fn fit_session_id(&mut self, id: Cow<'a, str>) {
        self.session_id = fit_id(id, limits::CLIENT_ID_BYTES);
    }

    /// The idempotency id.
    pub(crate) fn fit_id(&mut self, id: Cow<'a, str>) {
        self.id = fit_id(id, limits::HIT_ID_BYTES);
    }

    /// Engagement time; what no session can have is left out.
    pub(crate) fn fit_engagement_ms(&mut self, engagement_ms: u64) {
        if engagement_ms <= limits::ENGAGEMENT_MS {
            self.engagement_ms = engagement_ms;
        }
    }

    /// A user agent that stands in the request instead of its header.
    pub(crate) fn fit_user_agent(&mut self, user_agent: Cow<'a, str>) {
        if !user_agent.is_empty() {
            self.user_agent = Some(cut(user_agent, limits::USER_AGENT_BYTES));
        }
    }

    /// A parameter of text; empty ones, and those beyond the limit, are left out. Of two with one name the first stays.
    pub(crate) fn fit_text(&mut self, key: &str, text: Cow<'_, str>) {
        if !text.is_empty() {
            let text = cut(text, limits::PARAM_VALUE_BYTES).into_owned();
            self.fit_param(key, parameter::Value::Text(text));
        }
    }

    /// A parameter that is a number, if the text is one; otherwise text.
    pub(crate) fn fit_number(&mut self, key: &str, text: Cow<'_, str>) {
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => self.fit_param(key, parameter::Value::Number(number)),
            _ => self.fit_text(key, text),
        }
    }

    /// A parameter of JSON. Objects become a parameter for each of their fields, `key.field`; lists and null are left out.
    pub(crate) fn fit_json(&mut self, key: &str, value: &Json<'_>) {
        match value {
            Json::Flag(flag) => self.fit_param(key, parameter::Value::Flag(*flag)),
            Json::Text(text) => self.fit_text(key, Cow::Borrowed(text)),
            Json::Map(fields) => {
                for (name, value) in fields {
                    self.fit_json(&format!("{key}.{name}"), value);
                }
            }
            Json::Null | Json::List(_) => {}
            Json::Whole(_) | Json::Negative(_) | Json::Fraction(_) => {
                if let Some(number) = value.as_number() {
                    self.fit_param(key, parameter::Value::Number(number));
                }
            }
        }
    }

    /// Fields of a JSON object as parameters.
    pub(crate) fn fit_fields(&mut self, fields: Option<&Json<'_>>) {
        if let Some(Json::Map(fields)) = fields {
            for (name, value) in fields {
                self.fit_json(name, value);
            }
        }
    }

    fn fit_param(&mut self, key: &str, value: parameter::Value) {
        let key = &key[..key.floor_char_boundary(limits::PARAM_KEY_BYTES)];
        let is_new = !self.params.iter().any(|param| param.key == key);
        if is_new && !key.is_empty() && self.params.len() < limits::PARAMS {
            self.params.push(Parameter { key: key.to_owned(), value: Some(value) });
        }
    }
}

impl ParsedHit<'_> {
    /// Panics unless every field is within the limits of a hit: for tests and fuzzing.
    #[cfg(any(test, fuzzing))]
    pub fn check_limits(&self) {
        assert!((1..=limits::EVENT_CHARS).contains(&self.event.chars().count()), "event {:?}", self.event);
        for (name, text, max_bytes) in [
            ("url", &self.url, limits::URL_BYTES),
            ("referrer", &self.referrer, limits::URL_BYTES),
            ("title", &self.title, limits::TITLE_BYTES),
            ("language", &self.language, limits::LANGUAGE_BYTES),
            ("screen", &self.screen, limits::SCREEN_BYTES),
            ("client_id", &self.client_id, limits::CLIENT_ID_BYTES),
            ("session_id", &self.session_id, limits::CLIENT_ID_BYTES),
            ("id", &self.id, limits::HIT_ID_BYTES),
        ] {
            assert!(text.len() <= max_bytes, "{name} has {} bytes", text.len());
        }
        if let Some(hints) = &self.client_hints {
            let texts = [&hints.brands, &hints.platform, &hints.platform_version];
            assert!(texts.iter().all(|text| text.len() <= limits::HINT_TEXT_BYTES), "{hints:?}");
        }
        for item in &self.items {
            let texts = [&item.id, &item.name, &item.brand, &item.category, &item.variant];
            assert!(texts.iter().all(|text| text.len() <= limits::ITEM_TEXT_BYTES), "{item:?}");
        }
        assert!(self.items.len() <= limits::ITEMS);
        assert!(self.engagement_ms <= limits::ENGAGEMENT_MS && self.params.len() <= limits::PARAMS);
        assert!(self.items.iter().all(|item| item.params.len() <= limits::ITEM_PARAMS));
        for param in self.params.iter().chain(self.items.iter().flat_map(|item| &item.params)) {
            assert!((1..=limits::PARAM_KEY_BYTES).contains(&param.key.len()), "{param:?}");
            let is_good = match &param.value {
                Some(parameter::Value::Text(text)) => text.len() <= limits::PARAM_VALUE_BYTES,
                Some(parameter::Value::Number(number)) => number.is_finite(),
                Some(parameter::Value::Flag(_)) => true,
                None => false,
            };
            assert!(is_good, "{param:?}");
        }
    }
}

/// A campaign that was sent beside the page's URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Campaign<'a> {
    /// `utm_source`.
    pub(crate) source: Cow<'a, str>,
    /// `utm_medium`.
    pub(crate) medium: Cow<'a, str>,
    /// `utm_campaign`.
    pub(crate) name: Cow<'a, str>,
    /// `utm_term`.
    pub(crate) term: Cow<'a, str>,
    /// `utm_content`.
    pub(crate) content: Cow<'a, str>,
}

impl ParsedHit<'_> {
    /// Puts a campaign where it is looked for, into the URL; what the URL says already stays.
    pub(crate) fn fit_campaign(&mut self, campaign: &Campaign<'_>) {
        let given = [
            ("utm_source", &campaign.source),
            ("utm_medium", &campaign.medium),
            ("utm_campaign", &campaign.name),
            ("utm_term", &campaign.term),
            ("utm_content", &campaign.content),
        ];
        if given.iter().all(|(_, value)| value.is_empty()) {
            return;
        }
        let Ok(mut url) = Url::parse(&self.url) else { return };
        if url.query_pairs().any(|(key, _)| key.starts_with("utm_")) {
            return;
        }
        for (key, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
            url.query_pairs_mut().append_pair(key, value);
        }
        if url.as_str().len() <= limits::URL_BYTES {
            self.url = Cow::Owned(url.into());
        }
    }
}

/// A text cut to so many bytes, at a character.
pub(crate) fn cut(text: Cow<'_, str>, max_bytes: usize) -> Cow<'_, str> {
    let end = text.floor_char_boundary(max_bytes);
    keep(text, end)
}

/// The text up to a character's boundary.
fn keep(text: Cow<'_, str>, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// An id as it is; a longer one as 32 hexadecimal digits of its SipHash-2-4-128.
fn fit_id(id: Cow<'_, str>, max_bytes: usize) -> Cow<'_, str> {
    if id.len() <= max_bytes {
        return id;
    }
    let mut hasher = SipHasher24::new();
    hasher.write(id.as_bytes());
    Cow::Owned(format!("{:032x}", hasher.finish128().as_u128()))
}

#[cfg(test)]
mod tests;
