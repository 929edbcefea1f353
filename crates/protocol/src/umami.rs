//! Umami's `POST /api/send`, and `/api/batch` with a list of the same objects.
//!
//! The reply names the visitor as Umami does, `sessionId` and `visitId`, and a token that clients send back in
//! `x-umami-cache`; Umami spares itself a look-up by it, so ours holds nothing that matters and is not read. A bot is answered
//! as Umami answers one (umami-software/umami, `src/app/api/send/route.ts`); there it is dropped, here it is counted as a bot.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hit::PAGE_VIEW;
use http::StatusCode;
use serde_json::{Value, json};

use crate::fields::Place;
use crate::json::{self, Json};
use crate::parsed::{HitTime, ParsedHit};
use crate::refusal::{Code, Refusal};
use crate::sent::{Dropped, Entry, Outcome, Reply, Request, Sent, Tally};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 1_000_000;

/// Objects of a batch.
const BATCH: usize = 1000;

/// Parses a request to `/api/send`.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    Ok(Sent { entries: vec![entry(Place::Request, &json::read(request.body)?)?], secret: None })
}

/// Parses a request to `/api/batch`: an object that is wrong is refused alone.
pub fn parse_batch<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let Json::List(objects) = json::read(request.body)? else {
        return Err(Refusal::whole(Code::InvalidJson, "the body is a list of what goes to /api/send"));
    };
    if objects.len() > BATCH {
        let message = format!("a batch has at most {BATCH} objects; send the others in another");
        return Err(Refusal::field(Code::TooManyHits, "", objects.len(), message));
    }
    let parse = |(index, object)| entry(Place::Hit(index), object).unwrap_or_else(Entry::Refused);
    Ok(Sent { entries: objects.iter().enumerate().map(parse).collect(), secret: None })
}

fn entry<'a>(place: Place, object: &Json<'a>) -> Result<Entry<'a>, Refusal> {
    let payload = object.get("payload").ok_or_else(|| missing(place, "payload"))?;
    let kind = object.text("type").ok_or_else(|| missing(place, "type"))?;
    let site = ["website", "link", "pixel"].iter().find_map(|name| payload.text(name));
    let site = site.ok_or_else(|| missing(place, "payload.website"))?;
    let mut hit = ParsedHit::empty(place);
    match kind.as_ref() {
        "event" => {
            let name = payload.text("name").filter(|name| !name.is_empty());
            hit.fit_event(name.unwrap_or(Cow::Borrowed(PAGE_VIEW)));
        }
        "performance" => hit.fit_event("web_vitals".into()),
        // Who the visitor is comes with each event as well, as `id`.
        "identify" => return Ok(Entry::Dropped { site, reason: Dropped::Kind }),
        _ => {
            let message = "type is event, identify or performance";
            return Err(Refusal::field(Code::InvalidField, place.field("type"), kind, message));
        }
    }
    page(&mut hit, payload);
    if let Some(id) = payload.text("id").filter(|id| !id.is_empty()) {
        hit.fit_client_id(id);
    }
    if let Some(seconds) = payload.get("timestamp").and_then(Json::as_whole) {
        hit.time = HitTime::Claimed(seconds.saturating_mul(1000));
    }
    if let Some(user_agent) = payload.text("userAgent") {
        hit.fit_user_agent(user_agent);
    }
    hit.fit_text("tag", payload.text("tag").unwrap_or_default());
    for vital in ["lcp", "inp", "cls", "fcp", "ttfb"] {
        hit.fit_json(vital, payload.get(vital).unwrap_or(&Json::Null));
    }
    hit.fit_fields(payload.get("data"));
    Ok(Entry::Hit { site, hit: Box::new(hit) })
}

fn page<'a>(hit: &mut ParsedHit<'a>, payload: &Json<'a>) {
    let url = payload.text("url").unwrap_or_default();
    if url.starts_with('/') || url.is_empty() {
        if let Some(host) = payload.text("hostname").filter(|host| !host.is_empty()) {
            hit.fit_url(Cow::Owned(format!("https://{host}{url}")));
        }
    } else {
        hit.fit_url(url);
    }
    if let Some(referrer) = payload.text("referrer") {
        hit.fit_referrer(referrer);
    }
    if let Some(title) = payload.text("title") {
        hit.fit_title(title);
    }
    if let Some(language) = payload.text("language") {
        hit.fit_language(&language);
    }
    if let Some(screen) = payload.text("screen") {
        hit.fit_screen(screen);
    }
}

fn missing(place: Place, name: &str) -> Refusal {
    Refusal::field(Code::MissingField, place.field(name), "", format!("{name} is missing"))
}

/// The reply of `/api/send`.
pub fn reply(outcomes: &[Outcome]) -> Reply {
    match outcomes.first() {
        Some(Outcome::Refused(refusal)) => refuse(refusal),
        Some(Outcome::Dropped(Dropped::UnknownSite)) => {
            refuse(&Refusal::field(Code::UnknownMeasurementId, "website", "", "Website not found."))
        }
        Some(Outcome::Taken { is_bot: true, .. }) => Reply::json(StatusCode::OK, &json!({ "beep": "boop" })),
        first => Reply::json(StatusCode::OK, &identity(first)),
    }
}

/// The reply of `/api/batch`. An object of a bot is one that was processed; the token is never its.
pub fn reply_batch(outcomes: &[Outcome]) -> Reply {
    let tally = Tally::of(outcomes);
    let details: Vec<Value> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(index, outcome)| match outcome {
            Outcome::Taken { .. } => None,
            Outcome::Dropped(reason) => {
                Some(json!({ "index": index, "response": { "dropped": reason.as_str() } }))
            }
            Outcome::Refused(refusal) => Some(json!({ "index": index, "response": error(refusal) })),
        })
        .collect();
    let last = outcomes.iter().rev().find(|outcome| matches!(outcome, Outcome::Taken { is_bot: false, .. }));
    let mut reply = json!({
        "size": outcomes.len(),
        "processed": tally.taken,
        "errors": tally.dropped + tally.refused,
        "details": details,
    });
    reply["cache"] = identity(last)["cache"].take();
    Reply::json(StatusCode::OK, &reply)
}

/// The reply of `/api/heartbeat`.
pub fn heartbeat() -> Reply {
    Reply::json(StatusCode::OK, &json!({ "ok": true }))
}

/// The reply to a request that was not understood.
pub fn refuse(refusal: &Refusal) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &error(refusal))
}

fn error(refusal: &Refusal) -> Value {
    let message = if refusal.field.is_empty() {
        refusal.message.clone()
    } else {
        format!("{}: {}", refusal.field, refusal.message)
    };
    json!({ "error": { "message": message, "code": refusal.code.as_str(), "status": 400 } })
}

/// Ids of the visitor in the form of UUIDs, and the token; none for what was not counted.
fn identity(outcome: Option<&Outcome>) -> Value {
    let Some(Outcome::Taken { visitor_id, .. }) = outcome else { return json!({ "cache": "" }) };
    let id = |version: u16| {
        let high = visitor_id >> 32;
        let middle = (visitor_id >> 16) & 0xffff;
        format!("{high:08x}-{middle:04x}-{version:04x}-8000-{:012x}", visitor_id & 0xffff)
    };
    let (session, visit) = (id(0x8000), id(0x8001));
    let token = json!({ "sessionId": session, "visitId": visit }).to_string();
    json!({ "cache": BASE64_URL_SAFE_NO_PAD.encode(token), "sessionId": session, "visitId": visit })
}

#[cfg(test)]
mod tests;
