//! Google Analytics 4 from pages: `/g/collect`, GET or POST. Parameters in the query hold for all events; a POST has an event per
//! line of its body, in the form of a query.
//!
//! Google's endpoint answers 204 whatever comes; so does ours, and says in `X-Meridian-Dropped` what is not counted.

use std::borrow::Cow;

use http::StatusCode;

use crate::fields::Place;
use crate::google;
use crate::hints::Hints;
use crate::parsed::ParsedHit;
use crate::query::Query;
use crate::refusal::{Code, Refusal};
use crate::sent::{Entry, Reply, Request, Sent};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 130_000;

/// Parses a request.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let shared = Query::parse(request.query.as_bytes());
    let lines: Vec<&[u8]> = request
        .body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let mut entries = Vec::with_capacity(lines.len().max(1));
    if lines.is_empty() {
        entries.push(entry(0, &shared));
    }
    for (index, line) in lines.into_iter().enumerate() {
        entries.push(entry(index, &shared.with(Query::parse(line))));
    }
    let entries = entries.into_iter().map(|entry| entry.unwrap_or_else(Entry::Refused)).collect();
    Ok(Sent { entries, secret: None })
}

fn entry<'a>(index: usize, query: &Query<'a>) -> Result<Entry<'a>, Refusal> {
    let place = Place::Hit(index);
    let site = query.get("tid").ok_or_else(|| {
        Refusal::field(Code::MissingField, place.field("tid"), "", "tid, the measurement id, is missing")
    })?;
    let event = query.get("en").ok_or_else(|| {
        Refusal::field(Code::MissingField, place.field("en"), "", "en, the name of the event, is missing")
    })?;
    let mut hit = ParsedHit::empty(place);
    hit.fit_event(event);
    google::shared(query, &mut hit);
    if google::may_store(query) {
        stored(&mut hit, query);
    }
    if let Some(engaged_ms) = query.whole("_et") {
        hit.fit_engagement_ms(engaged_ms);
    }
    if let Some(user_agent) = query.get("_ua") {
        hit.fit_user_agent(user_agent);
    }
    hit.client_hints = Hints::of_google(query);
    if let Some(kind) = query.get("tt") {
        hit.fit_text("traffic_type", kind);
    }
    if let Some(currency) = query.get("cu") {
        hit.fit_text("currency", currency);
    }
    for (key, value) in query.iter() {
        parameter(&mut hit, key, value);
    }
    hit.fit_joined_items(query);
    Ok(Entry::Hit { site, hit: Box::new(hit) })
}

/// What the client knows from its storage: `sid` and number `sct` of the session, `_fv` of a first visit. `_ss` and `seg`, that a session
/// begins and that it is engaged, are found from the hits.
fn stored<'a>(hit: &mut ParsedHit<'a>, query: &Query<'a>) {
    if let Some(session) = query.get("sid") {
        hit.fit_session_id(session);
    }
    hit.first_visit = query.get("_fv").map(|_| true);
    if let Some(number) = query.get("sct") {
        hit.fit_number("ga_session_number", number);
    }
}

/// `ep.` texts and `epn.` numbers of the event, `up.` and `upn.` of the user.
fn parameter(hit: &mut ParsedHit<'_>, key: &str, value: &str) {
    let Some((kind, name)) = key.split_once('.') else { return };
    match kind {
        "ep" => hit.fit_text(name, Cow::Borrowed(value)),
        "epn" => hit.fit_number(name, Cow::Borrowed(value)),
        "up" => hit.fit_text(&format!("user.{name}"), Cow::Borrowed(value)),
        "upn" => hit.fit_number(&format!("user.{name}"), Cow::Borrowed(value)),
        _ => {}
    }
}

/// The reply to whatever came.
pub fn reply() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
