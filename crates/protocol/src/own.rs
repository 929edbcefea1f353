//! Meridian's own protocol, `POST /v1/collect`: from JSON to hits that cannot be wrong.
//!
//! Every field of a hit is checked by name; an unknown or repeated one is refused, so that a typing error is seen at once
//! and not as missing data weeks later. `null` counts as absent.

pub mod claim;
mod items;

use std::borrow::Cow;

use hit::{PAGE_VIEW, limits};

use crate::fields::{self, Place};
use crate::json::Json;
use crate::parsed::{HitTime, ParsedHit};
use crate::refusal::{Code, Refusal};

/// A request to collect.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectRequest<'a> {
    /// Whose hits these are.
    pub measurement_id: Cow<'a, str>,
    /// At least one, or none beside `import_until_ms`.
    pub hits: Vec<ParsedHit<'a>>,
    /// An import has come so far: no hit of it before this time follows. Unix milliseconds.
    pub import_until_ms: Option<u64>,
}

/// Longest measurement id that is looked up, bytes.
const MEASUREMENT_ID_BYTES: usize = 64;

/// Longest user agent taken from a body, bytes; what is longer than a hit keeps is cut, as a header is.
const GIVEN_USER_AGENT_BYTES: usize = limits::REQUEST_BYTES;

/// Highest number of attempts.
const ATTEMPTS: u64 = 1_000_000;

/// The fields of a hit, in the order of `interfaces.md`.
const HIT_FIELDS: [&str; 20] = [
    "event",
    "url",
    "referrer",
    "title",
    "language",
    "screen",
    "client_id",
    "session_id",
    "first_visit",
    "engagement_ms",
    "age_ms",
    "id",
    "attempt",
    "params",
    "items",
    "timestamp",
    "ip",
    "user_agent",
    "client_hints",
    "consent",
];

/// Parses the body of `POST /v1/collect`.
pub fn collect(body: &[u8]) -> Result<CollectRequest<'_>, Refusal> {
    let (mut measurement_id, mut hits, mut import_until) = (None, None, None);
    for (key, value) in object(body)? {
        let slot = match key.as_ref() {
            "measurement_id" => &mut measurement_id,
            "hits" => &mut hits,
            "import_until" => &mut import_until,
            _ => return Err(unknown(Place::Request, &key, &value, "measurement_id, hits and import_until")),
        };
        once(Place::Request, &key, slot, value)?;
    }
    let measurement_id = required(Place::Request, "measurement_id", measurement_id)?;
    let measurement_id = fields::id(Place::Request, "measurement_id", measurement_id, MEASUREMENT_ID_BYTES)?;
    let import_until_ms =
        import_until.map(|until| fields::time(Place::Request, "import_until", &until)).transpose()?;
    let list = match required(Place::Request, "hits", hits)? {
        Json::List(list) => list,
        other => return Err(Place::Request.invalid("hits", &other, "hits must be a list of hits".into())),
    };
    if list.is_empty() && import_until_ms.is_none() {
        return Err(Place::Request.invalid("hits", "[]", "hits is empty; send at least one".into()));
    }
    if list.len() > limits::HITS_PER_REQUEST {
        let message =
            format!("a request may hold {} hits; send the others in another", limits::HITS_PER_REQUEST);
        return Err(Refusal::field(Code::TooManyHits, "hits", list.len(), message));
    }
    let parse = |(index, value)| match value {
        Json::Map(entries) => hit(Place::Hit(index), entries),
        other => {
            let message = "a hit must be an object".to_owned();
            Err(Refusal::field(Code::InvalidField, format!("hits[{index}]"), &other, message))
        }
    };
    let hits = list.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(CollectRequest { measurement_id, hits, import_until_ms })
}

/// Checks the fields of one hit.
pub fn hit<'a>(place: Place, entries: Vec<(Cow<'a, str>, Json<'a>)>) -> Result<ParsedHit<'a>, Refusal> {
    let mut hit = ParsedHit::empty(place);
    let mut seen = 0_u32;
    let (mut has_age, mut has_time) = (false, false);
    for (key, value) in entries {
        let known = HIT_FIELDS.iter().position(|name| *name == key);
        let Some(index) = known else {
            return Err(unknown(place, &key, &value, "those listed in docs/errors.md"));
        };
        if seen & (1 << index) != 0 {
            return Err(twice(place, &key, &value));
        }
        seen |= 1 << index;
        if value == Json::Null {
            continue;
        }
        match HIT_FIELDS[index] {
            "timestamp" => {
                has_time = true;
                hit.time = HitTime::At(fields::time(place, "timestamp", &value)?);
                hit.needs_secret.get_or_insert("timestamp");
            }
            "age_ms" => {
                has_age = true;
                let age_ms = fields::whole(place, "age_ms", &value, limits::AGE_MS)?;
                if !has_time {
                    hit.time = HitTime::Age(age_ms);
                }
            }
            name => hit.set(place, name, value)?,
        }
    }
    if has_age && has_time {
        let message = "age_ms and timestamp exclude each other; send one of them".to_owned();
        return Err(Refusal::field(Code::InvalidField, place.field("age_ms"), "", message));
    }
    if hit.event == PAGE_VIEW && hit.url.is_empty() {
        let message = "a page view needs its url".to_owned();
        return Err(Refusal::field(Code::MissingField, place.field("url"), "", message));
    }
    Ok(hit)
}

impl<'a> ParsedHit<'a> {
    fn set(&mut self, place: Place, name: &'static str, value: Json<'a>) -> Result<(), Refusal> {
        match name {
            "event" => self.event = fields::event(place, value)?,
            "url" => (self.url, self.host) = fields::page_url(place, value)?,
            "referrer" => self.referrer = fields::text(place, name, value, limits::URL_BYTES)?,
            "title" => self.title = fields::text(place, name, value, limits::TITLE_BYTES)?,
            "language" => self.language = fields::language(place, value)?,
            "screen" => self.screen = fields::screen(place, value)?,
            "client_id" => self.client_id = fields::id(place, name, value, limits::CLIENT_ID_BYTES)?,
            "session_id" => self.session_id = fields::id(place, name, value, limits::CLIENT_ID_BYTES)?,
            "first_visit" => self.first_visit = Some(fields::flag(place, name, &value)?),
            "consent" => self.consent = Some(fields::consent(place, &value)?),
            "engagement_ms" => {
                self.engagement_ms = fields::whole(place, name, &value, limits::ENGAGEMENT_MS)?;
            }
            "id" => self.id = fields::id(place, name, value, limits::HIT_ID_BYTES)?,
            "attempt" => {
                let attempt = fields::whole(place, name, &value, ATTEMPTS)?;
                self.attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
            }
            "params" => self.params = fields::params(place, value)?,
            "items" => self.items = items::items(place, value)?,
            "ip" => {
                self.ip = Some(fields::address(place, &value)?);
                self.needs_secret.get_or_insert("ip");
            }
            "user_agent" => {
                self.user_agent = Some(fields::text(place, name, value, GIVEN_USER_AGENT_BYTES)?);
                self.needs_secret.get_or_insert("user_agent");
            }
            "client_hints" => self.client_hints = fields::client_hints(place, &value)?,
            // `hit` only asks for the names above.
            _ => return Err(unknown(place, name, &value, "those of a hit")),
        }
        Ok(())
    }
}

fn object(body: &[u8]) -> Result<Vec<(Cow<'_, str>, Json<'_>)>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Json::Map(entries)) => Ok(entries),
        Ok(other) => {
            let message = "the body must be a JSON object".to_owned();
            Err(Refusal::field(Code::InvalidJson, "", &other, message))
        }
        Err(error) => Err(Refusal::whole(Code::InvalidJson, format!("the body is not JSON: {error}"))),
    }
}

fn once<'a>(place: Place, key: &str, slot: &mut Option<Json<'a>>, value: Json<'a>) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(twice(place, key, &value));
    }
    *slot = Some(value);
    Ok(())
}

fn required<'a>(place: Place, name: &str, value: Option<Json<'a>>) -> Result<Json<'a>, Refusal> {
    match value {
        Some(value) if value != Json::Null => Ok(value),
        _ => Err(Refusal::field(Code::MissingField, place.field(name), "", format!("{name} is missing"))),
    }
}

fn unknown(place: Place, key: &str, value: &Json<'_>, known: &str) -> Refusal {
    let name: String = key.chars().take(limits::PARAM_KEY_BYTES).collect();
    let message = format!("there is no such field; known are {known}");
    Refusal::field(Code::UnknownField, place.field(&name), value, message)
}

fn twice(place: Place, key: &str, value: &Json<'_>) -> Refusal {
    place.invalid(key, value, format!("{key} is given twice; send it once"))
}

#[cfg(test)]
mod tests;
