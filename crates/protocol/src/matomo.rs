//! Matomo's tracking API: `matomo.php` and `piwik.php`, GET or POST, one action in the parameters or a bulk of them in JSON.
//!
//! Every request is answered on its own terms: a pixel, 204 with `send_image=0`, or for a bulk how many were tracked. `token_auth` is
//! the property's API secret; what needs it (`cip`, a time of more than a day ago) is not counted without.

mod action;

use std::borrow::Cow;
use std::net::IpAddr;

use http::StatusCode;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::fields::Place;
use crate::fit::Campaign;
use crate::hints::Hints;
use crate::json::{self, Json};
use crate::parsed::{Consent, HitTime, ParsedHit};
use crate::query::Query;
use crate::refusal::{Code, Refusal};
use crate::sent::{Dropped, Entry, Outcome, Reply, Request, Sent, Tally};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 1_000_000;

/// Requests of a bulk.
const BULK: usize = 1000;

/// Parses a request.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    if is_bulk(request) {
        return parse_bulk(request);
    }
    let query = Query::parse(request.query.as_bytes()).with(Query::parse(request.body));
    Ok(Sent { entries: vec![entry(Place::Request, &query)?], secret: query.get("token_auth") })
}

fn is_bulk(request: &Request<'_>) -> bool {
    request.body.trim_ascii_start().starts_with(b"{")
}

fn parse_bulk<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let body = json::read(request.body)?;
    let Some(Json::List(requests)) = body.get("requests") else {
        return Err(Refusal::field(
            Code::MissingField,
            "requests",
            "",
            "requests, the list of a bulk, is missing",
        ));
    };
    if requests.len() > BULK {
        let message = format!("a bulk has at most {BULK} requests; send the others in another");
        return Err(Refusal::field(Code::TooManyHits, "requests", requests.len(), message));
    }
    let mut secret = body.text("token_auth");
    let mut entries = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        let query = match request {
            Json::Text(Cow::Borrowed(text)) => Query::parse(text.as_bytes()),
            Json::Text(Cow::Owned(text)) => owned(text),
            Json::Map(fields) => Query::of(
                fields.iter().filter_map(|(key, value)| Some((key.clone(), value.as_text()?))).collect(),
            ),
            _ => Query::default(),
        };
        secret = secret.or_else(|| query.get("token_auth"));
        entries.push(entry(Place::Hit(index), &query).unwrap_or_else(Entry::Refused));
    }
    Ok(Sent { entries, secret })
}

/// Parameters of a text that JSON escapes kept from being borrowed.
fn owned<'a>(text: &str) -> Query<'a> {
    let own = |text: &str| Cow::Owned(text.to_owned());
    Query::of(Query::parse(text.as_bytes()).iter().map(|(key, value)| (own(key), own(value))).collect())
}

fn entry<'a>(place: Place, query: &Query<'a>) -> Result<Entry<'a>, Refusal> {
    let invalid = |name: &str, message: &str| {
        Refusal::field(Code::InvalidField, place.field(name), "", message.to_owned())
    };
    let site = query.get("idsite").filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
    let site = site.ok_or_else(|| invalid("idsite", "idsite, the number of the site, is missing"))?;
    if !query.flag("rec") {
        return Err(invalid("rec", "rec=1 is missing: without it nothing is recorded"));
    }
    let mut hit = ParsedHit::empty(place);
    if let Some(url) = query.get("url") {
        hit.fit_url(url);
    }
    visitor(&mut hit, query)?;
    time(&mut hit, query)?;
    hit.fit_campaign(&Campaign {
        source: query.get("_rcn").unwrap_or_default(),
        name: query.get("_rcn").unwrap_or_default(),
        term: query.get("_rck").unwrap_or_default(),
        ..Campaign::default()
    });
    action::put(&mut hit, query);
    Ok(Entry::Hit { site, hit: Box::new(hit) })
}

/// Who acts, and with what.
fn visitor<'a>(hit: &mut ParsedHit<'a>, query: &Query<'a>) -> Result<(), Refusal> {
    if let Some(id) = query.first(&["cid", "_id", "uid"]) {
        hit.fit_client_id(id);
    }
    // `matomo.js` says it of a visitor who gave consent on a page that requires it.
    hit.consent = match query.get("consent").as_deref() {
        Some("1") => Some(Consent::Granted),
        Some("0") => Some(Consent::Denied),
        _ => None,
    };
    if let Some(referrer) = query.get("urlref") {
        hit.fit_referrer(referrer);
    }
    if let Some(language) = query.get("lang") {
        hit.fit_language(&language);
    }
    if let Some(screen) = query.get("res") {
        hit.fit_screen(screen);
    }
    if let Some(user_agent) = query.get("ua") {
        hit.fit_user_agent(user_agent);
    }
    if let Some(data) = query.get("uadata") {
        let data = serde_json::from_str(&data).unwrap_or(Json::Null);
        hit.client_hints = Hints::of_json(&data).map(Hints::into_owned);
    }
    if let Some(address) = query.get("cip") {
        let parsed: IpAddr = address.parse().map_err(|_| {
            Refusal::field(Code::InvalidField, hit.place.field("cip"), &address, "cip must be an IP address")
        })?;
        hit.ip = Some(parsed);
        hit.needs_secret = Some("cip");
    }
    Ok(())
}

/// `cdt`: unix seconds, or `2011-04-05 00:11:42` in UTC.
fn time(hit: &mut ParsedHit<'_>, query: &Query<'_>) -> Result<(), Refusal> {
    let Some(text) = query.get("cdt") else { return Ok(()) };
    let millis = match text.trim().parse::<u64>() {
        Ok(seconds) => Some(seconds.saturating_mul(1000)),
        Err(_) => text
            .parse::<DateTime>()
            .ok()
            .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
            .and_then(|time| u64::try_from(time.timestamp().as_millisecond()).ok()),
    };
    let millis = millis.ok_or_else(|| {
        let message = "cdt must be unix seconds, or a time in UTC such as 2011-04-05 00:11:42";
        Refusal::field(Code::InvalidField, hit.place.field("cdt"), &text, message)
    })?;
    hit.time = HitTime::Claimed(millis);
    Ok(())
}

/// The reply to what was understood.
pub fn reply(request: &Request<'_>, outcomes: &[Outcome]) -> Reply {
    if is_bulk(request) {
        return reply_bulk(outcomes);
    }
    match outcomes.first() {
        Some(Outcome::Dropped(Dropped::UnknownSite)) => Reply::pixel(StatusCode::BAD_REQUEST),
        Some(Outcome::Dropped(Dropped::SecretRequired)) => Reply::pixel(StatusCode::UNAUTHORIZED),
        _ if wants_no_image(request) => Reply::empty(StatusCode::NO_CONTENT),
        _ => Reply::pixel(StatusCode::OK),
    }
}

fn wants_no_image(request: &Request<'_>) -> bool {
    let query = Query::parse(request.query.as_bytes()).with(Query::parse(request.body));
    query.get("send_image").as_deref() == Some("0")
}

fn reply_bulk(outcomes: &[Outcome]) -> Reply {
    let tally = Tally::of(outcomes);
    let invalid: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| {
            !matches!(outcome, Outcome::Taken { .. } | Outcome::Dropped(Dropped::Kind | Dropped::NoConsent))
        })
        .map(|(index, _)| index)
        .collect();
    let tracked = outcomes.len() - invalid.len();
    let status = if tally.refused == 0 { "success" } else { "error" };
    let body =
        json!({ "status": status, "tracked": tracked, "invalid": invalid.len(), "invalid_indices": invalid });
    Reply::json(StatusCode::OK, &body)
}

/// The reply to a request that was not understood.
pub fn refuse(refusal: &Refusal) -> Reply {
    Reply::text(StatusCode::BAD_REQUEST, format!("{}: {}", refusal.field, refusal.message))
}

#[cfg(test)]
mod tests;
