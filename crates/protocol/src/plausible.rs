//! Plausible's `POST /api/event`: a JSON object for one event of one or more sites, with short or long names.
//!
//! Limits and replies are those of Plausible's own server: 202 `ok` for whatever is understood, with the number of events that
//! were not counted in `X-Plausible-Dropped`; 400 with `{"errors":{field:[…]}}` otherwise.

use std::borrow::Cow;

use hit::PAGE_VIEW;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::fields::Place;
use crate::json::{self, Json};
use crate::parsed::ParsedHit;
use crate::refusal::{Code, Refusal};
use crate::sent::{Entry, Outcome, Reply, Request, Sent, Tally};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 1_000_000;

/// Longest URL, bytes.
const URL_BYTES: usize = 2000;
/// Longest name of an event, characters.
const NAME_CHARS: usize = 120;
/// Properties that are kept.
const PROPS: usize = 30;
/// Longest name of a property, bytes.
const PROP_KEY_BYTES: usize = 300;
/// Longest value of a property, bytes.
const PROP_VALUE_BYTES: usize = 2000;
/// `sd` of a client that does not know how far the page was scrolled.
const NO_SCROLL_DEPTH: u64 = 255;

const DROPPED: HeaderName = HeaderName::from_static("x-plausible-dropped");

/// Parses a request.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let body = json::read(request.body)?;
    let event = Event(&body);
    let mut hit = ParsedHit::empty(Place::Request);
    let name = event.name()?;
    event.url(&mut hit)?;
    match name.as_ref() {
        "pageview" => hit.fit_event(PAGE_VIEW.into()),
        "engagement" => event.engagement(&mut hit)?,
        _ => hit.fit_event(name),
    }
    if let Some(referrer) = event.get("r", "referrer").and_then(Json::as_text) {
        hit.fit_referrer(referrer);
    }
    event.revenue(&mut hit)?;
    event.props(&mut hit)?;
    if matches!(event.get("i", "interactive"), Some(Json::Flag(false))) {
        hit.fit_json("interactive", &Json::Flag(false));
    }
    let entry = |site| Entry::Hit { site, hit: Box::new(hit.clone()) };
    Ok(Sent { entries: event.domains(&hit)?.into_iter().map(entry).collect(), secret: None })
}

struct Event<'b, 'a>(&'b Json<'a>);

impl<'b, 'a> Event<'b, 'a> {
    fn get(&self, short: &str, long: &str) -> Option<&'b Json<'a>> {
        self.0.get(short).or_else(|| self.0.get(long))
    }

    fn name(&self) -> Result<Cow<'a, str>, Refusal> {
        let name = self.get("n", "name").and_then(Json::as_text).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| blank("name"))?;
        if name.chars().count() > NAME_CHARS {
            let message = format!("should be at most {NAME_CHARS} character(s)");
            return Err(Refusal::field(Code::InvalidField, "event_name", name, message));
        }
        Ok(name)
    }

    fn url(&self, hit: &mut ParsedHit<'a>) -> Result<(), Refusal> {
        let url = self.get("u", "url").and_then(Json::as_text).ok_or_else(|| blank("url"))?;
        // With `h` the page is told by what stands after `#`.
        let keeps_fragment = self.get("h", "hashMode").is_some_and(|mode| mode.as_whole() == Some(1));
        let page = if keeps_fragment { url.clone() } else { without_fragment(url.clone()) };
        if url.len() > URL_BYTES || !hit.fit_url(page) {
            return Err(Refusal::field(Code::InvalidField, "url", url, "must be a valid url"));
        }
        Ok(())
    }

    fn engagement(&self, hit: &mut ParsedHit<'a>) -> Result<(), Refusal> {
        let engaged_ms = self.0.get("e").and_then(Json::as_whole).filter(|ms| *ms > 0);
        let depth = self.0.get("sd").and_then(Json::as_whole).filter(|depth| *depth != NO_SCROLL_DEPTH);
        if engaged_ms.is_none() && depth.is_none() {
            let message = "an engagement event needs e, its time in milliseconds, or sd, its scroll depth";
            return Err(Refusal::field(Code::InvalidField, "event_name", "engagement", message));
        }
        hit.fit_event("engagement".into());
        hit.fit_engagement_ms(engaged_ms.unwrap_or(0));
        if let Some(depth) = depth {
            hit.fit_json("scroll_depth", &Json::Whole(depth.min(100)));
        }
        Ok(())
    }

    fn revenue(&self, hit: &mut ParsedHit<'a>) -> Result<(), Refusal> {
        let Some(sent) = self.get("$", "revenue") else { return Ok(()) };
        let revenue = sent.unpacked();
        let (amount, currency) = (revenue.text("amount"), revenue.text("currency"));
        let (Some(amount), Some(currency)) = (amount, currency) else {
            return Err(Refusal::field(Code::InvalidField, "revenue", sent, "must have amount and currency"));
        };
        hit.fit_number("revenue", Cow::Owned(amount.into_owned()));
        hit.fit_text("currency", Cow::Owned(currency.into_owned()));
        Ok(())
    }

    fn props(&self, hit: &mut ParsedHit<'a>) -> Result<(), Refusal> {
        let sent = [("m", "meta"), ("p", "props")].iter().find_map(|(short, long)| self.get(short, long));
        let Some(sent) = sent else { return Ok(()) };
        let Json::Map(props) = sent.unpacked() else { return Ok(()) };
        for (key, value) in props.iter().take(PROPS) {
            let Some(text) = value.as_text() else { continue };
            if key.len() > PROP_KEY_BYTES || text.len() > PROP_VALUE_BYTES {
                let message = format!(
                    "keys should have at most {PROP_KEY_BYTES} bytes and values at most {PROP_VALUE_BYTES}"
                );
                return Err(Refusal::field(Code::InvalidField, "props", key, message));
            }
            hit.fit_text(key, text);
        }
        Ok(())
    }

    fn domains(&self, hit: &ParsedHit<'a>) -> Result<Vec<Cow<'a, str>>, Refusal> {
        let sent = self.get("d", "domain").and_then(Json::as_text);
        let sent = sent.unwrap_or_else(|| hit.host.clone());
        let domains: Vec<_> = sent.split(',').map(site).filter(|domain| !domain.is_empty()).collect();
        if domains.is_empty() { Err(blank("domain")) } else { Ok(domains) }
    }
}

/// A site's id as it is looked up: lower case, without `www.`.
pub(crate) fn site<'a>(domain: &str) -> Cow<'a, str> {
    let lower = domain.trim().to_ascii_lowercase();
    Cow::Owned(lower.strip_prefix("www.").map_or_else(|| lower.clone(), str::to_owned))
}

fn without_fragment(url: Cow<'_, str>) -> Cow<'_, str> {
    match url {
        Cow::Borrowed(url) => Cow::Borrowed(url.split_once('#').map_or(url, |(before, _)| before)),
        Cow::Owned(url) => {
            Cow::Owned(url.split_once('#').map_or(url.as_str(), |(before, _)| before).to_owned())
        }
    }
}

fn blank(field: &str) -> Refusal {
    Refusal::field(Code::MissingField, field, "", "can't be blank")
}

/// The reply to what was understood.
pub fn reply(outcomes: &[Outcome]) -> Reply {
    let mut reply = Reply::text(StatusCode::ACCEPTED, "ok");
    let dropped = Tally::of(outcomes).dropped;
    if dropped > 0 {
        reply.headers.push((DROPPED, HeaderValue::from(dropped)));
    }
    reply
}

/// The reply to a request that was not understood.
pub fn refuse(refusal: &Refusal) -> Reply {
    let field = if refusal.field.is_empty() { "request" } else { &refusal.field };
    Reply::json(StatusCode::BAD_REQUEST, &serde_json::json!({ "errors": { field: [refusal.message] } }))
}

#[cfg(test)]
mod tests;
