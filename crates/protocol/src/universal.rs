//! Universal Analytics' Measurement Protocol, version 1: `/collect` (also `/r/collect`, `/j/collect`), GET or POST, and `/batch` with a hit
//! per line. Google has shut its end down; clients are still in use.
//!
//! Hits of kinds without a report are taken and dropped by kind. The reply is the pixel. Limits: 8,192 bytes a hit, 20 hits and
//! 16 KiB a batch.

use std::borrow::Cow;

use hit::PAGE_VIEW;
use http::StatusCode;

use crate::fields::Place;
use crate::google;
use crate::items::{self, Fact};
use crate::parsed::{HitTime, ParsedHit};
use crate::query::Query;
use crate::refusal::{Code, Refusal};
use crate::sent::{Dropped, Entry, Reply, Request, Sent};

/// Longest body of `/collect`, and longest line of `/batch`, bytes.
pub const HIT_BYTES: usize = 8192;
/// Longest body of `/batch`, bytes.
pub const BATCH_BYTES: usize = 16 * 1024;
/// Hits of a batch.
const BATCH_HITS: usize = 20;

/// The event that says that something was bought.
const PURCHASE: &str = "purchase";

/// An item hit's names of what it tells.
const ITEM: [(&str, Fact); 5] = [
    ("ic", Fact::Id),
    ("in", Fact::Name),
    ("iv", Fact::Category),
    ("ip", Fact::Price),
    ("iq", Fact::Quantity),
];

/// Parses a request to `/collect`: a query, or a body in its form.
pub fn parse<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let text = if request.body.is_empty() { request.query.as_bytes() } else { request.body };
    if text.len() > HIT_BYTES {
        let message = format!("a hit has at most {HIT_BYTES} bytes");
        return Err(Refusal::field(Code::TooLarge, "", text.len(), message));
    }
    let query = Query::parse(request.query.as_bytes()).with(Query::parse(request.body));
    let entries = entries(0, &query).unwrap_or_else(|refusal| vec![Entry::Refused(refusal)]);
    Ok(Sent { entries, secret: None })
}

/// Parses a request to `/batch`.
pub fn parse_batch<'a>(request: &Request<'a>) -> Result<Sent<'a>, Refusal> {
    let lines =
        request.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let mut sent = Sent::default();
    for (index, line) in lines.enumerate() {
        if index == BATCH_HITS {
            let message = format!("a batch has at most {BATCH_HITS} hits; send the others in another");
            return Err(Refusal::field(Code::TooManyHits, "", index + 1, message));
        }
        if line.len() > HIT_BYTES {
            let message = format!("a hit has at most {HIT_BYTES} bytes");
            let refusal = Refusal::field(Code::TooLarge, format!("hits[{index}]"), line.len(), message);
            sent.entries.push(Entry::Refused(refusal));
            continue;
        }
        match entries(index, &Query::parse(line)) {
            Ok(entries) => sent.entries.extend(entries),
            Err(refusal) => sent.entries.push(Entry::Refused(refusal)),
        }
    }
    if sent.entries.is_empty() {
        return Err(Refusal::whole(Code::MissingField, "the batch is empty; send a hit per line"));
    }
    Ok(sent)
}

/// A hit; and what a page view or an event may do with goods beside, as an event of its own.
fn entries<'a>(index: usize, query: &Query<'a>) -> Result<Vec<Entry<'a>>, Refusal> {
    let place = Place::Hit(index);
    let missing =
        |name: &str| Refusal::field(Code::MissingField, place.field(name), "", format!("{name} is missing"));
    let site = query.get("tid").ok_or_else(|| missing("tid"))?;
    let kind = query.get("t").ok_or_else(|| missing("t"))?;
    if query.first(&["cid", "uid"]).is_none() {
        return Err(missing("cid"));
    }
    let mut hit = ParsedHit::empty(place);
    google::shared(query, &mut hit);
    hit.time = HitTime::Age(query.whole("qt").unwrap_or(0));
    hit.fit_user_agent(query.get("ua").unwrap_or_default());
    for (key, value) in query.iter() {
        custom(&mut hit, key, value);
    }
    let mut beside = shop_event(query).map(|event| (event, hit.clone()));
    match kind.as_ref() {
        "pageview" => hit.fit_event(PAGE_VIEW.into()),
        "screenview" => {
            hit.fit_event("screen_view".into());
            hit.fit_text("screen_name", query.get("cd").unwrap_or_default());
        }
        "event" => {
            hit.fit_event(query.get("ea").ok_or_else(|| missing("ea"))?);
            hit.fit_text("event_category", query.get("ec").unwrap_or_default());
            hit.fit_text("event_label", query.get("el").unwrap_or_default());
            hit.fit_number("value", query.get("ev").unwrap_or_default());
        }
        "transaction" => {
            make_purchase(&mut hit, query);
            beside = None;
        }
        "item" => {
            hit.fit_event("item".into());
            hit.fit_text("transaction_id", query.get("ti").unwrap_or_default());
            hit.fit_text("currency", query.get("cu").unwrap_or_default());
            hit.fit_item(items::of_query(query, &ITEM));
        }
        _ => return Ok(vec![Entry::Dropped { site, reason: Dropped::Kind }]),
    }
    let beside = beside.map(|(event, mut hit)| {
        if event == PURCHASE {
            make_purchase(&mut hit, query);
        } else {
            hit.fit_event(event.into());
            hit.fit_numbered_items(query);
            hit.fit_text("currency", query.get("cu").unwrap_or_default());
        }
        hit
    });
    let entry = |hit| Entry::Hit { site: site.clone(), hit: Box::new(hit) };
    Ok([Some(hit), beside].into_iter().flatten().map(entry).collect())
}

/// What enhanced ecommerce does with the goods of a hit, under Google Analytics 4's name. Of a checkout the first step counts.
fn shop_event(query: &Query<'_>) -> Option<&'static str> {
    match query.get("pa")?.as_ref() {
        "detail" => Some("view_item"),
        "add" => Some("add_to_cart"),
        "checkout" if matches!(query.get("cos").as_deref(), None | Some("1")) => Some("begin_checkout"),
        "purchase" => Some(PURCHASE),
        _ => None,
    }
}

fn make_purchase(hit: &mut ParsedHit<'_>, query: &Query<'_>) {
    hit.fit_event(PURCHASE.into());
    hit.fit_text("transaction_id", query.get("ti").unwrap_or_default());
    hit.fit_text("affiliation", query.get("ta").unwrap_or_default());
    hit.fit_numbered_items(query);
    hit.fit_text("currency", query.get("cu").unwrap_or_default());
    for (name, key) in [("value", "tr"), ("shipping", "ts"), ("tax", "tt")] {
        hit.fit_number(name, query.get(key).unwrap_or_default());
    }
}

/// `cd1` and `cm1`: custom dimensions and metrics.
fn custom(hit: &mut ParsedHit<'_>, key: &str, value: &str) {
    let number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    if let Some(index) = key.strip_prefix("cd").filter(|rest| number(rest)) {
        hit.fit_text(&format!("dimension{index}"), Cow::Borrowed(value));
    } else if let Some(index) = key.strip_prefix("cm").filter(|rest| number(rest)) {
        hit.fit_number(&format!("metric{index}"), Cow::Borrowed(value));
    }
}

/// The reply to whatever came, as from Google: a client stops its queue at an error.
pub fn reply() -> Reply {
    Reply::pixel(StatusCode::OK)
}

#[cfg(test)]
mod tests;
