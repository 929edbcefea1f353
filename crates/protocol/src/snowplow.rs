//! Snowplow's tracker protocol: POST `/com.snowplowanalytics.snowplow/tp2` with a list of flat objects, GET `/i` with one in the query.
//!
//! Snowplow's collector takes whatever comes; so do the replies here, and say in `X-Meridian-Dropped` what is not counted. `eid` is the
//! idempotency id. A self-describing event becomes an event with its own name and fields, whatever vendor and version its schema has.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hit::PAGE_VIEW;
use http::StatusCode;

use crate::fields::Place;
use crate::hints::Hints;
use crate::items::{self, Fact};
use crate::json::{self, Json};
use crate::parsed::{HitTime, ParsedHit};
use crate::query::Query;
use crate::refusal::{Code, Refusal};
use crate::sent::{Dropped, Entry, Reply, Request, Sent};

/// Longest body, bytes.
pub const BODY_BYTES: usize = 1_000_000;

/// Events of a request.
const EVENTS: usize = 2_500;

/// An item event's names of what it tells.
const ITEM: [(&str, Fact); 5] = [
    ("ti_sk", Fact::Id),
    ("ti_nm", Fact::Name),
    ("ti_ca", Fact::Category),
    ("ti_pr", Fact::Price),
    ("ti_qu", Fact::Quantity),
];

/// Trackers differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Parses a POST.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let body = json::read(request.body)?;
    let Some(Json::List(events)) = body.get("data") else {
        return Err(Refusal::field(Code::MissingField, "data", "", "data, the list of events, is missing"));
    };
    if events.len() > EVENTS {
        let message = format!("a request has at most {EVENTS} events; send the others in another");
        return Err(Refusal::field(Code::TooManyHits, "data", events.len(), message));
    }
    let entry = |(index, event): (usize, &Json<'a>)| {
        let Json::Map(fields) = event else {
            let message = "an event is an object";
            return Entry::Refused(Refusal::field(
                Code::InvalidField,
                format!("data[{index}]"),
                event,
                message,
            ));
        };
        let text = |(key, value): &(Cow<'a, str>, Json<'a>)| Some((key.clone(), value.as_text()?));
        entry(Place::Hit(index), &Query::of(fields.iter().filter_map(text).collect()))
    };
    Ok(Sent { entries: events.iter().enumerate().map(entry).collect(), secret: None })
}

/// Parses a GET.
pub fn parse_query<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let query = Query::parse(request.query.as_bytes());
    Ok(Sent { entries: vec![entry(Place::Request, &query)], secret: None })
}

fn entry<'a>(place: Place, query: &Query<'a>) -> Entry<'a> {
    let site = query.get("aid").unwrap_or_default();
    let mut hit = ParsedHit::empty(place);
    let get = |name: &str| query.get(name).unwrap_or_default();
    match query.get("e").as_deref() {
        Some("pv") => hit.fit_event(PAGE_VIEW.into()),
        Some("pp") => {
            hit.fit_event("page_ping".into());
            for (name, key) in [("scroll_x_max", "pp_max"), ("scroll_y_max", "pp_may")] {
                hit.fit_number(name, get(key));
            }
        }
        Some("se") => {
            hit.fit_event(query.first(&["se_ac", "se_ca"]).unwrap_or(Cow::Borrowed("structured")));
            hit.fit_text("event_category", get("se_ca"));
            hit.fit_text("event_label", get("se_la"));
            hit.fit_text("event_property", get("se_pr"));
            hit.fit_number("value", get("se_va"));
        }
        Some("tr") => {
            hit.fit_event("purchase".into());
            for (name, key) in [("transaction_id", "tr_id"), ("affiliation", "tr_af"), ("currency", "tr_cu")]
            {
                hit.fit_text(name, get(key));
            }
            for (name, key) in [("value", "tr_tt"), ("tax", "tr_tx"), ("shipping", "tr_sh")] {
                hit.fit_number(name, get(key));
            }
        }
        Some("ti") => {
            hit.fit_event("item".into());
            hit.fit_text("transaction_id", get("ti_id"));
            hit.fit_text("currency", get("ti_cu"));
            hit.fit_item(items::of_query(query, &ITEM));
        }
        Some("ue") => {
            if !self_describing(&mut hit, query) {
                let message = "ue_pr or ue_px is no self-describing event";
                return Entry::Refused(Refusal::field(Code::InvalidField, place.field("ue_pr"), "", message));
            }
        }
        Some(_) => return Entry::Dropped { site, reason: Dropped::Kind },
        None => {
            let message = "e, the kind of the event, is missing";
            return Entry::Refused(Refusal::field(Code::MissingField, place.field("e"), "", message));
        }
    }
    shared(&mut hit, query);
    Entry::Hit { site, hit: Box::new(hit) }
}

/// A parameter that is JSON, or the one that is the same in base64.
fn plain_or_encoded<'a>(query: &Query<'a>, plain: &str, encoded: &str) -> Option<Cow<'a, str>> {
    query.get(plain).or_else(|| {
        let bytes = BASE64.decode(query.get(encoded)?.as_bytes()).ok()?;
        String::from_utf8(bytes).ok().map(Cow::Owned)
    })
}

/// The context of the tracker's client hints plugin: `{"schema":…,"data":[{"schema":"iglu:org.ietf/http_client_hints/…","data":{…}},…]}`.
fn client_hints(query: &Query<'_>) -> Option<Hints<'static>> {
    const SCHEMA: &str = "iglu:org.ietf/http_client_hints/";
    let text = plain_or_encoded(query, "co", "cx").filter(|text| text.contains(SCHEMA))?;
    let envelope: Json<'_> = serde_json::from_str(&text).ok()?;
    let contexts = envelope.get("data").and_then(Json::as_list)?;
    let is_it = |context: &&Json<'_>| context.text("schema").is_some_and(|schema| schema.starts_with(SCHEMA));
    Hints::of_json(contexts.iter().find(is_it)?.get("data")?).map(Hints::into_owned)
}

/// `{"schema":…,"data":{"schema":"iglu:vendor/name/jsonschema/1-0-0","data":{…}}}`, plain or in base64.
fn self_describing(hit: &mut ParsedHit<'_>, query: &Query<'_>) -> bool {
    let Some(text) = plain_or_encoded(query, "ue_pr", "ue_px") else { return false };
    let Ok(envelope) = serde_json::from_str::<Json<'_>>(&text) else { return false };
    let Some(event) = envelope.get("data") else { return false };
    let Some(schema) = event.text("schema") else { return false };
    let Some(name) = schema.strip_prefix("iglu:").and_then(|rest| rest.split('/').nth(1)) else {
        return false;
    };
    hit.fit_event(Cow::Owned(name.to_owned()));
    hit.fit_fields(event.get("data"));
    // What the trackers call `trackAddToCart` has the one item in its fields.
    if name == "add_to_cart"
        && let Some(data) = event.get("data")
    {
        hit.fit_item(items::of_json(data));
    }
    true
}

fn shared<'a>(hit: &mut ParsedHit<'a>, query: &Query<'a>) {
    if let Some(url) = query.get("url") {
        hit.fit_url(url);
    }
    if let Some(referrer) = query.get("refr") {
        hit.fit_referrer(referrer);
    }
    if let Some(title) = query.get("page") {
        hit.fit_title(title);
    }
    if let Some(language) = query.get("lang") {
        hit.fit_language(&language);
    }
    if let Some(screen) = query.get("res") {
        hit.fit_screen(screen);
    }
    // Trackers for pages and phones send from where the visitor is, all others (`srv`, `pc`, `app`) as servers.
    hit.sent_by_server = !matches!(query.get("p").as_deref(), None | Some("web" | "mob"));
    hit.fit_user_agent(query.get("ua").unwrap_or_default());
    hit.client_hints = client_hints(query);
    if let Some(id) = query.first(&["duid", "nuid", "uid"]) {
        hit.fit_client_id(id);
    }
    if let Some(session) = query.get("sid") {
        hit.fit_session_id(session);
    }
    if let Some(id) = query.get("eid") {
        hit.fit_id(id);
    }
    // `ttm` is told to be true; `dtm` and `stm` come from one clock, right or wrong.
    hit.time = match (query.whole("ttm"), query.whole("dtm"), query.whole("stm")) {
        (Some(true_ms), _, _) => HitTime::Claimed(true_ms),
        (None, Some(made_ms), Some(sent_ms)) => HitTime::Age(sent_ms.saturating_sub(made_ms)),
        (None, Some(made_ms), None) => HitTime::Claimed(made_ms),
        (None, None, _) => HitTime::Age(0),
    };
}

/// The reply to a POST.
pub fn reply() -> Reply {
    Reply::text(StatusCode::OK, "ok")
}

/// The reply to a GET.
pub fn reply_query() -> Reply {
    Reply::pixel(StatusCode::OK)
}

/// The reply to a request that was not understood: 400, for whatever its trackers do not take for final (404 and 413 too) they
/// repeat without an end.
pub fn refuse(refusal: &Refusal) -> Reply {
    let mut reply = Reply::refused(refusal);
    if reply.status.is_client_error() {
        reply.status = StatusCode::BAD_REQUEST;
    }
    reply
}

#[cfg(test)]
mod tests;
