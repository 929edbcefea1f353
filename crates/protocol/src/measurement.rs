//! Google Analytics 4's Measurement Protocol: `POST /mp/collect` with JSON from servers and apps, and `/debug/mp/collect`, which counts
//! nothing and says what is wrong.
//!
//! Google answers 204 whatever comes and counts what it can, so a server that sends nonsense learns it from the debug endpoint only, or
//! from `X-Meridian-Dropped`. Limits: 25 events of 25 parameters, names of 40 characters, 72 hours back.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use crate::fields::Place;
use crate::json::{self, Json};
use crate::parsed::{HitTime, ParsedHit};
use crate::query::Query;
use crate::refusal::{Code, Refusal};
use crate::sent::{Entry, Reply, Request, Sent};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 130_000;

/// Events of a request.
const EVENTS: usize = 25;
/// Parameters of an event.
const PARAMS: usize = 25;
/// Characters of the name of an event or a parameter.
const NAME_CHARS: usize = 40;

/// Parameters with a place of their own in a hit.
const OWN_PLACE: [&str; 7] = [
    "page_location",
    "page_title",
    "page_referrer",
    "session_id",
    "engagement_time_msec",
    "language",
    "screen_resolution",
];

/// Parses a request: an event that cannot be counted is refused alone, and a parameter that cannot be kept is left out.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let (sent, _problem) = read(request)?;
    Ok(sent)
}

/// Parses a request to find what is wrong with it.
///
/// # Errors
/// The first thing that is.
pub fn check<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let (sent, problem) = read(request)?;
    let refused = sent.entries.iter().find_map(|entry| match entry {
        Entry::Refused(refusal) => Some(refusal.clone()),
        _ => None,
    });
    refused.or(problem).map_or(Ok(sent), Err)
}

/// What was sent, and the first thing in it that is left out.
type Read<'a> = (Sent<'a>, Option<Refusal>);

fn read<'a>(request: &Request<'a>) -> Result<Read<'a>, Refusal> {
    let query = Query::parse(request.query.as_bytes());
    let Some(site) = query.first(&["measurement_id", "firebase_app_id"]) else {
        return Err(missing("measurement_id", "measurement_id or firebase_app_id is missing in the query"));
    };
    let body = json::read(request.body)?;
    let client = ["client_id", "app_instance_id", "user_id"].iter().find_map(|name| body.text(name));
    let client = client.filter(|id| !id.is_empty());
    let client = client.ok_or_else(|| missing("client_id", "client_id or app_instance_id is missing"))?;
    let events = match body.get("events") {
        Some(Json::List(events)) => events.as_slice(),
        // A client sends a single event so, and Google takes it.
        Some(event @ Json::Map(_)) => std::slice::from_ref(event),
        _ => return Err(missing("events", "events is missing; send a list of at least one")),
    };
    if events.is_empty() || events.len() > EVENTS {
        let message = format!("a request has 1 to {EVENTS} events");
        return Err(Refusal::field(Code::TooManyHits, "events", events.len(), message));
    }
    let mut problem = None;
    let entry = |(index, event)| match hit(index, event, &body, &client, &mut problem) {
        Ok(hit) => Entry::Hit { site: site.clone(), hit: Box::new(hit) },
        Err(refusal) => Entry::Refused(refusal),
    };
    let entries = events.iter().enumerate().map(entry).collect();
    Ok((Sent { entries, secret: query.get("api_secret") }, problem))
}

fn hit<'a>(
    index: usize,
    event: &Json<'a>,
    body: &Json<'a>,
    client: &Cow<'a, str>,
    problem: &mut Option<Refusal>,
) -> Result<ParsedHit<'a>, Refusal> {
    let field = |name: &str| format!("events[{index}].{name}");
    let name = event.text("name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| missing(&field("name"), "every event has a name"))?;
    check_name(&field("name"), &name)?;
    let mut hit = ParsedHit::empty(Place::Hit(index));
    hit.fit_event(name);
    hit.fit_client_id(client.clone());
    if let Some(micros) = event.get("timestamp_micros").or_else(|| body.get("timestamp_micros")) {
        let micros = micros.as_whole().ok_or_else(|| {
            let message = "timestamp_micros must be unix microseconds";
            Refusal::field(Code::InvalidField, "timestamp_micros", micros, message)
        })?;
        hit.time = HitTime::Claimed(micros / 1000);
    }
    hit.sent_by_server = true;
    hit.fit_user_agent(body.text("user_agent").unwrap_or_default());
    let params = match event.get("params") {
        None => &Json::Null,
        Some(params @ Json::Map(fields)) => {
            if fields.len() > PARAMS {
                let message = format!("an event has at most {PARAMS} parameters");
                let refusal = Refusal::field(Code::InvalidField, field("params"), fields.len(), message);
                problem.get_or_insert(refusal);
            }
            for (key, value) in fields.iter().take(PARAMS) {
                match check_name(&field(&format!("params.{key}")), key) {
                    Ok(()) if OWN_PLACE.contains(&key.as_ref()) => {}
                    Ok(()) => hit.fit_json(key, value),
                    Err(refusal) => {
                        problem.get_or_insert(refusal);
                    }
                }
            }
            params
        }
        Some(other) => {
            return Err(Refusal::field(Code::InvalidField, field("params"), other, "params is an object"));
        }
    };
    page(&mut hit, params);
    hit.fit_items(params.get("items"));
    if let Some(Json::Map(properties)) = body.get("user_properties") {
        for (name, property) in properties {
            hit.fit_json(&format!("user.{name}"), property.get("value").unwrap_or(&Json::Null));
        }
    }
    Ok(hit)
}

fn page<'a>(hit: &mut ParsedHit<'a>, params: &Json<'a>) {
    if let Some(url) = params.text("page_location") {
        hit.fit_url(url);
    }
    if let Some(referrer) = params.text("page_referrer") {
        hit.fit_referrer(referrer);
    }
    if let Some(title) = params.text("page_title") {
        hit.fit_title(title);
    }
    if let Some(language) = params.text("language") {
        hit.fit_language(&language);
    }
    if let Some(screen) = params.text("screen_resolution") {
        hit.fit_screen(screen);
    }
    if let Some(session) = params.text("session_id") {
        hit.fit_session_id(session);
    }
    if let Some(engaged_ms) = params.get("engagement_time_msec").and_then(Json::as_whole) {
        hit.fit_engagement_ms(engaged_ms);
    }
}

fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let starts_well = name.starts_with(|first: char| first.is_alphabetic());
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if starts_well && is_name && name.chars().count() <= NAME_CHARS {
        return Ok(());
    }
    let message = format!("a name begins with a letter and has at most {NAME_CHARS} letters, digits and _");
    Err(Refusal::field(Code::InvalidField, field, name, message))
}

fn missing(field: &str, message: &str) -> Refusal {
    Refusal::field(Code::MissingField, field, "", message)
}

/// The reply of `/mp/collect` to whatever came.
pub fn reply() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

/// The reply of `/debug/mp/collect`: what is wrong, or an empty list.
pub fn validation(problem: Option<&Refusal>) -> Reply {
    let messages: Vec<_> = problem
        .map(|refusal| {
            let code = match refusal.code {
                Code::MissingField => "VALUE_REQUIRED",
                Code::TooManyHits => "EXCEEDED_MAX_ENTITIES",
                _ => "VALUE_INVALID",
            };
            json!({ "fieldPath": refusal.field, "description": refusal.message, "validationCode": code })
        })
        .into_iter()
        .collect();
    Reply::json(StatusCode::OK, &json!({ "validationMessages": messages }))
}

#[cfg(test)]
mod tests;
