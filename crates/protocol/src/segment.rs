//! Segment's HTTP API, which many collectors speak: `POST /v1/batch`, and `/v1/track` and its like for a single call.
//!
//! The write key is the user of Basic authentication, or stands in the body; the API secret may be its password. `messageId` is the
//! idempotency id, so that the retries of these clients count once. The reply is JSON, for clients read it when it is an error.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hit::PAGE_VIEW;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use crate::fields::Place;
use crate::fit::Campaign;
use crate::hints::Hints;
use crate::items;
use crate::json::{self, Json};
use crate::parsed::{Consent, HitTime, ParsedHit};
use crate::refusal::{Code, Refusal};
use crate::sent::{Dropped, Entry, Outcome, Reply, Request, Sent};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 512_000;

/// Calls of a batch.
const BATCH: usize = 2_500;

/// Parses a request to `/v1/batch`.
pub fn parse_batch<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let body = json::read(request.body)?;
    let Some(Json::List(calls)) = body.get("batch") else {
        return Err(Refusal::field(Code::MissingField, "batch", "", "batch, the list of calls, is missing"));
    };
    if calls.len() > BATCH {
        let message = format!("a batch has at most {BATCH} calls; send the others in another");
        return Err(Refusal::field(Code::TooManyHits, "batch", calls.len(), message));
    }
    let (site, secret) = key(request.headers, &body)?;
    let entry =
        |(index, call)| entry(Place::Hit(index), call, &body, None, &site).unwrap_or_else(Entry::Refused);
    let entries = calls.iter().enumerate().map(entry).collect();
    Ok(Sent { entries, secret })
}

/// Parses a request to `/v1/{call}`: `track` or `t`, `page` or `p`, and so on.
pub fn parse_call<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let body = json::read(request.body)?;
    let (site, secret) = key(request.headers, &body)?;
    let kind = kind_of_path(request.path);
    Ok(Sent { entries: vec![entry(Place::Request, &body, &body, kind, &site)?], secret })
}

/// The call that a path names; `None`: it is no such path.
pub fn kind_of_path(path: &str) -> Option<&'static str> {
    match path.strip_prefix("/v1/")? {
        "t" | "track" => Some("track"),
        "p" | "page" => Some("page"),
        "s" | "screen" => Some("screen"),
        "i" | "identify" => Some("identify"),
        "g" | "group" => Some("group"),
        "a" | "alias" => Some("alias"),
        _ => None,
    }
}

/// The write key in `/v1/projects/KEY/settings`; `None`: it is no such path.
pub fn key_of_settings(path: &str) -> Option<&str> {
    let key = path.strip_prefix("/v1/projects/")?.strip_suffix("/settings")?;
    (!key.is_empty() && !key.contains('/')).then_some(key)
}

/// What Segment's library for pages asks before it sends: without `apiKey` it sends no key, without `apiHost` it sends to Segment.
pub fn settings(request: &Request<'_>) -> Reply {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let key = key_of_settings(request.path).unwrap_or_default();
    let api_host = format!("{}/v1", header("host").unwrap_or_default());
    let protocol = header("x-forwarded-proto").unwrap_or("http");
    let segment = json!({ "apiKey": key, "apiHost": api_host, "protocol": protocol });
    Reply::json(StatusCode::OK, &json!({ "integrations": { "Segment.io": segment } }))
}

/// Write key, and the secret beside it.
type Key<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

fn key<'a>(headers: &HeaderMap, body: &Json<'a>) -> Result<Key<'a>, Refusal> {
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(basic);
    if let Some((user, password)) = basic.filter(|(user, _)| !user.is_empty()) {
        let secret = (!password.is_empty()).then_some(Cow::Owned(password));
        return Ok((Cow::Owned(user), secret));
    }
    let key = body.text("writeKey").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| {
        let message = "the write key is missing; send it as the user of Basic authentication, or as writeKey";
        Refusal::field(Code::MissingField, "writeKey", "", message)
    })?;
    Ok((key, None))
}

/// User and password of `Basic …` (RFC 7617).
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(credentials.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
}

fn entry<'a>(
    place: Place,
    call: &Json<'a>,
    body: &Json<'a>,
    kind: Option<&'static str>,
    site: &Cow<'a, str>,
) -> Result<Entry<'a>, Refusal> {
    let field = |name: &str| match place {
        Place::Hit(index) => format!("batch[{index}].{name}"),
        _ => name.to_owned(),
    };
    let kind = kind.map(Cow::Borrowed).or_else(|| call.text("type"));
    let kind =
        kind.ok_or_else(|| Refusal::field(Code::MissingField, field("type"), "", "type is missing"))?;
    let mut hit = ParsedHit::empty(place);
    match kind.as_ref() {
        "page" => hit.fit_event(PAGE_VIEW.into()),
        "screen" => {
            hit.fit_event("screen_view".into());
            hit.fit_text("screen_name", call.text("name").unwrap_or_default());
        }
        "track" => {
            let event = call.text("event").filter(|event| !event.is_empty());
            let missing =
                || Refusal::field(Code::MissingField, field("event"), "", "a track call names its event");
            hit.fit_event(event.ok_or_else(missing)?);
        }
        // They say who somebody is, and are no event.
        "identify" | "group" | "alias" => {
            return Ok(Entry::Dropped { site: site.clone(), reason: Dropped::Kind });
        }
        other => {
            let message = "type is track, page, screen, identify, group or alias";
            return Err(Refusal::field(Code::InvalidField, field("type"), other, message));
        }
    }
    let visitor =
        ["anonymousId", "userId"].iter().find_map(|name| call.text(name).filter(|id| !id.is_empty()));
    if let Some(id) = visitor {
        hit.fit_client_id(id);
    }
    if let Some(id) = call.text("messageId") {
        hit.fit_id(id);
    }
    if let Some(time) = time(call, body) {
        hit.time = time;
    }
    let context = call.get("context").or_else(|| body.get("context")).unwrap_or(&Json::Null);
    hit.consent = consent(context);
    page(&mut hit, call.get("properties").unwrap_or(&Json::Null), context);
    Ok(Entry::Hit { site: site.clone(), hit: Box::new(hit) })
}

/// Categories of consent have the names that the site gives them; that of analytics is looked for, in any case of letters.
fn consent(context: &Json<'_>) -> Option<Consent> {
    let Json::Map(categories) = context.at(&["consent", "categoryPreferences"])? else { return None };
    categories.iter().find_map(|(name, value)| match value {
        Json::Flag(is_granted) if name.eq_ignore_ascii_case("analytics") => Some(Consent::of(*is_granted)),
        _ => None,
    })
}

/// The client's clock is wrong by as much for `sentAt` as for `timestamp`: their difference is the age.
fn time(call: &Json<'_>, body: &Json<'_>) -> Option<HitTime> {
    let millis = |value: &Json<'_>| -> Option<u64> {
        let time: Timestamp = value.as_text()?.parse().ok()?;
        u64::try_from(time.as_millisecond()).ok()
    };
    let at_ms = ["originalTimestamp", "timestamp"].iter().find_map(|name| millis(call.get(name)?))?;
    let sent_ms = call.get("sentAt").or_else(|| body.get("sentAt")).and_then(millis);
    Some(sent_ms.map_or(HitTime::Claimed(at_ms), |sent_ms| HitTime::Age(sent_ms.saturating_sub(at_ms))))
}

fn page<'a>(hit: &mut ParsedHit<'a>, properties: &Json<'a>, context: &Json<'a>) {
    let page = |name: &str| {
        let own = if hit_is_page(properties) { properties.text(name) } else { None };
        own.or_else(|| context.at(&["page", name])?.as_text())
    };
    let (url, referrer, title) = (page("url"), page("referrer"), page("title"));
    if let Some(url) = url {
        hit.fit_url(url);
    }
    if let Some(referrer) = referrer {
        hit.fit_referrer(referrer);
    }
    if let Some(title) = title {
        hit.fit_title(title);
    }
    if let Some(locale) = context.text("locale") {
        hit.fit_language(&locale);
    }
    // Libraries for browsers say it always, those for servers if they know it; their own is none.
    let user_agent = context.text("userAgent").unwrap_or_default();
    hit.sent_by_server = user_agent.is_empty();
    hit.fit_user_agent(user_agent);
    hit.client_hints = context.get("userAgentData").and_then(Hints::of_json);
    if let (Some(width), Some(height)) = (context.at(&["screen", "width"]), context.at(&["screen", "height"]))
    {
        hit.fit_screen(Cow::Owned(format!("{width}x{height}")));
    }
    let campaign = |name: &str| context.at(&["campaign", name]).and_then(Json::as_text).unwrap_or_default();
    hit.fit_campaign(&Campaign {
        source: campaign("source"),
        medium: campaign("medium"),
        name: campaign("name"),
        term: campaign("term"),
        content: campaign("content"),
    });
    if let Some(revenue) = ["value", "revenue", "total"].iter().find_map(|name| properties.text(name)) {
        hit.fit_number("value", revenue);
    }
    hit.fit_text("transaction_id", properties.text("order_id").unwrap_or_default());
    match properties.get("products") {
        None if matches!(&*hit.event, "Product Viewed" | "Product Added") => {
            hit.fit_item(items::of_json(properties));
        }
        products => hit.fit_items(products),
    }
    if let Json::Map(fields) = properties {
        // The amount is in `value`: as `revenue` it would be money on each event, also where a checkout only begins.
        for (name, value) in fields.iter().filter(|(name, _)| !is_of_page(name) && *name != "revenue") {
            hit.fit_json(name, value);
        }
    }
}

/// What is known from the page's URL, and has a place of its own.
fn is_of_page(name: &str) -> bool {
    matches!(name, "url" | "referrer" | "title" | "path" | "search")
}

/// A page call has the page in its properties; so may others.
fn hit_is_page(properties: &Json<'_>) -> bool {
    properties.get("url").is_some()
}

/// The reply to what was understood.
pub fn reply(outcomes: &[Outcome]) -> Reply {
    if outcomes.contains(&Outcome::Dropped(Dropped::UnknownSite)) {
        let message = "no property has this write key; add it with `meridian alias add --protocol segment`";
        return refuse(&Refusal::field(Code::UnknownMeasurementId, "writeKey", "", message));
    }
    // A library drops the whole batch at an error, so one call that is wrong among others must not be one.
    match outcomes {
        [Outcome::Refused(refusal)] => refuse(refusal),
        _ => Reply::json(StatusCode::OK, &json!({ "success": true })),
    }
}

/// The reply to a request that was not understood: clients show code and message.
pub fn refuse(refusal: &Refusal) -> Reply {
    let status = match refusal.code {
        Code::UnknownMeasurementId => StatusCode::UNAUTHORIZED,
        code => code.status(),
    };
    let message = format!("{} {}", refusal.field, refusal.message);
    Reply::json(
        status,
        &json!({ "success": false, "code": refusal.code.as_str(), "message": message.trim() }),
    )
}

#[cfg(test)]
mod tests;
