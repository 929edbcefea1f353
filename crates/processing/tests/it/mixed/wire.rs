//! Visits as clients write them, and as an edge takes them: the parsers are the real ones, the rest of the edge is a few lines.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use hit::RawHit;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use protocol::{Endpoint, Entry, HitTime, ParsedHit, Request, own};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::visits::{Event, PROPERTY, Sent, Visitor, Wire};

/// A request.
struct Written {
    path: &'static str,
    query: String,
    body: String,
    headers: HeaderMap,
}

/// The hits of a request that is received at this time.
pub(super) fn received(sent: &Sent, now_ms: u64) -> Vec<RawHit> {
    let written = written(sent, now_ms);
    let taken = |hit: &ParsedHit<'_>| taken(hit, &written.headers, now_ms);
    let hits: Vec<RawHit> = if written.path == "/v1/collect" {
        own::collect(written.body.as_bytes()).unwrap().hits.iter().map(taken).collect()
    } else {
        let (query, body) = (written.query.as_str(), written.body.as_bytes());
        let request = Request { path: written.path, query, headers: &written.headers, body };
        let entries = Endpoint::of(written.path).unwrap().parse(&request).unwrap().entries;
        let hit = |entry: &Entry<'_>| match entry {
            Entry::Hit { hit, .. } => Some(taken(hit)),
            Entry::Dropped { .. } | Entry::Refused(_) => None,
        };
        entries.iter().map(hit).collect::<Option<_>>().unwrap()
    };
    let again = if sent.twice { hits.clone() } else { Vec::new() };
    [hits, again].concat()
}

/// A hit as it lies in the WAL. Visitors are hashes of what tells them apart, as at an edge.
fn taken(hit: &ParsedHit<'_>, headers: &HeaderMap, now_ms: u64) -> RawHit {
    let in_header = headers.get(header::USER_AGENT).map_or("", |value| value.to_str().unwrap());
    let user_agent = match &hit.user_agent {
        Some(given) => given,
        None if hit.sent_by_server => "",
        None => in_header,
    };
    let mut visitor = DefaultHasher::new();
    if hit.client_id.is_empty() { (&hit.host, user_agent) } else { (&hit.client_id, "") }.hash(&mut visitor);
    RawHit {
        property_id: PROPERTY.to_owned(),
        rules_version: 1,
        event_time_ms: match hit.time {
            HitTime::Age(age_ms) => now_ms - age_ms,
            HitTime::At(at_ms) | HitTime::Claimed(at_ms) => at_ms.min(now_ms),
        },
        visitor_id: visitor.finish(),
        hit_id: hit.id.to_string(),
        client_id: hit.client_id.to_string(),
        session_id: hit.session_id.to_string(),
        first_visit: hit.first_visit,
        event: hit.event.to_string(),
        url: hit.url.to_string(),
        user_agent: user_agent.to_owned(),
        sent_by_server: hit.sent_by_server,
        ..RawHit::default()
    }
}

fn browser(visitor: Visitor) -> String {
    let version = match visitor {
        Visitor::Browser(version) => version,
        Visitor::Client(_) => 99,
    };
    format!("Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0")
}

fn written(sent: &Sent, now_ms: u64) -> Written {
    let (path, query, body) = match sent.wire {
        Wire::Own | Wire::OwnWithTimestamp => ("/v1/collect", String::new(), own_body(sent, now_ms)),
        Wire::Ga4Query => ("/g/collect", ga4(&sent.events[0]), String::new()),
        Wire::Ga4Lines => ("/g/collect", String::new(), lines(sent, ga4)),
        Wire::Measurement => ("/mp/collect", "measurement_id=G-1&api_secret=x".to_owned(), measurement(sent)),
        Wire::UniversalAnalytics => ("/collect", String::new(), universal(&sent.events[0], now_ms)),
        Wire::UniversalBatch => ("/batch", String::new(), lines(sent, |event| universal(event, now_ms))),
        Wire::Plausible => ("/api/event", String::new(), plausible(&sent.events[0])),
        Wire::Umami => ("/api/send", String::new(), umami(&sent.events[0]).to_string()),
        Wire::UmamiBatch => ("/api/batch", String::new(), list(sent, umami).to_string()),
        Wire::MatomoQuery => ("/matomo.php", matomo(&sent.events[0]), String::new()),
        Wire::MatomoBulk => {
            let requests = list(sent, |event| json!(format!("?{}", matomo(event))));
            ("/piwik.php", String::new(), json!({ "requests": requests }).to_string())
        }
        Wire::SegmentBatch => {
            let sent_at = time(now_ms + SKEW_MS);
            let body = json!({ "writeKey": "k", "sentAt": sent_at, "batch": list(sent, segment) });
            ("/v1/batch", String::new(), body.to_string())
        }
        Wire::SegmentCall => {
            let mut body = segment(&sent.events[0]);
            body["writeKey"] = json!("k");
            body["sentAt"] = json!(time(now_ms + SKEW_MS));
            (if sent.events[0].is_page_view { "/v1/page" } else { "/v1/t" }, String::new(), body.to_string())
        }
        Wire::Snowplow => {
            let data = list(sent, |event| json!(snowplow(event, now_ms)));
            let schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
            let body = json!({ "schema": schema, "data": data }).to_string();
            ("/com.snowplowanalytics.snowplow/tp2", String::new(), body)
        }
        Wire::SnowplowQuery => {
            let fields = snowplow(&sent.events[0], now_ms);
            let fields =
                fields.as_object().unwrap().iter().map(|(key, value)| (key, value.as_str().unwrap()));
            ("/i", Serializer::new(String::new()).extend_pairs(fields).finish(), String::new())
        }
    };
    let mut headers = HeaderMap::new();
    let user_agent = browser(sent.events[0].visitor);
    headers.insert(header::USER_AGENT, HeaderValue::from_str(&user_agent).unwrap());
    Written { path, query, body, headers }
}

/// How far a client's clock is ahead whose protocol says what time it has.
const SKEW_MS: u64 = 5_000_000;

fn url_of(event: &Event) -> String {
    format!("https://shop.example/{}", event.page)
}

fn client(event: &Event) -> Option<String> {
    match event.visitor {
        Visitor::Client(person) => Some(format!("{:016x}", person + 0xa0)),
        Visitor::Browser(_) => None,
    }
}

fn session(event: &Event) -> Option<String> {
    event.session.map(|session| format!("17{session:08}"))
}

fn time(at_ms: u64) -> String {
    Timestamp::from_millisecond(i64::try_from(at_ms).unwrap()).unwrap().to_string()
}

fn list(sent: &Sent, write: impl Fn(&Event) -> Value) -> Value {
    sent.events.iter().map(write).collect()
}

fn lines(sent: &Sent, write: impl Fn(&Event) -> String) -> String {
    sent.events.iter().map(write).collect::<Vec<_>>().join("\n")
}

/// A query of the pairs that have a value.
fn query(pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    Serializer::new(String::new()).extend_pairs(given).finish()
}

fn own_body(sent: &Sent, now_ms: u64) -> String {
    let hit = |event: &Event| {
        let mut hit = json!({
            "event": if event.is_page_view { "page_view" } else { "sign_up" },
            "url": url_of(event),
            "client_id": client(event),
            "session_id": session(event),
            "id": format!("own-{}", event.page),
        });
        if sent.wire == Wire::Own {
            hit["age_ms"] = json!(now_ms - event.time_ms);
        } else {
            hit["timestamp"] = json!(time(event.time_ms));
        }
        hit
    };
    json!({ "measurement_id": "M-1", "hits": list(sent, hit) }).to_string()
}

fn ga4(event: &Event) -> String {
    query(&[
        ("v", Some("2".to_owned())),
        ("tid", Some("G-1".to_owned())),
        ("cid", client(event)),
        ("sid", session(event)),
        ("en", Some(if event.is_page_view { "page_view" } else { "sign_up" }.to_owned())),
        ("dl", Some(url_of(event))),
    ])
}

fn measurement(sent: &Sent) -> String {
    let event = |event: &Event| {
        json!({
            "name": if event.is_page_view { "page_view" } else { "sign_up" },
            "timestamp_micros": event.time_ms * 1000,
            "params": { "page_location": url_of(event), "session_id": session(event) },
        })
    };
    json!({ "client_id": client(&sent.events[0]), "events": list(sent, event) }).to_string()
}

fn universal(event: &Event, now_ms: u64) -> String {
    let text = |text: &str| Some(text.to_owned());
    let (kind, action) = if event.is_page_view { ("pageview", None) } else { ("event", text("sign_up")) };
    query(&[
        ("v", text("1")),
        ("tid", text("UA-1-1")),
        ("cid", client(event)),
        ("t", text(kind)),
        ("ec", text("form").filter(|_| !event.is_page_view)),
        ("ea", action),
        ("dl", Some(url_of(event))),
        ("qt", Some((now_ms - event.time_ms).to_string())),
    ])
}

fn plausible(event: &Event) -> String {
    let name = if event.is_page_view { "pageview" } else { "sign_up" };
    json!({ "n": name, "u": url_of(event), "d": "shop.example", "r": null }).to_string()
}

fn umami(event: &Event) -> Value {
    let mut payload = json!({
        "website": "a0000000-0000-4000-8000-000000000000",
        "hostname": "shop.example",
        "url": format!("/{}", event.page),
        "timestamp": event.time_ms / 1000,
    });
    if !event.is_page_view {
        payload["name"] = json!("sign_up");
    }
    if let Some(id) = client(event) {
        payload["id"] = json!(id);
    }
    json!({ "type": "event", "payload": payload })
}

fn matomo(event: &Event) -> String {
    let text = |text: &str| Some(text.to_owned());
    let event_fields = |value: &str| text(value).filter(|_| !event.is_page_view);
    // In one of the two forms that there are.
    let seconds = (event.time_ms / 1000).to_string();
    let civil = time(event.time_ms).replace('T', " ").replace('Z', "");
    query(&[
        ("idsite", text("1")),
        ("rec", text("1")),
        ("url", Some(url_of(event))),
        ("_id", client(event)),
        ("cdt", Some(if event.page.is_multiple_of(2) { seconds } else { civil })),
        ("e_c", event_fields("form")),
        ("e_a", event_fields("sign_up")),
    ])
}

fn segment(event: &Event) -> Value {
    let mut call = json!({
        "type": if event.is_page_view { "page" } else { "track" },
        "anonymousId": client(event),
        "messageId": format!("segment-{}", event.page),
        "timestamp": time(event.time_ms + SKEW_MS),
        "context": { "page": { "url": url_of(event) }, "userAgent": browser(event.visitor) },
    });
    if event.is_page_view {
        call["properties"] = json!({ "url": url_of(event) });
    } else {
        call["event"] = json!("sign_up");
    }
    call
}

fn snowplow(event: &Event, now_ms: u64) -> Value {
    let mut fields = json!({
        "e": if event.is_page_view { "pv" } else { "se" },
        "aid": "shop",
        "p": "web",
        "url": url_of(event),
        "eid": format!("snowplow-{}", event.page),
        "duid": client(event),
        "dtm": (event.time_ms + SKEW_MS).to_string(),
        "stm": (now_ms + SKEW_MS).to_string(),
    });
    if !event.is_page_view {
        fields["se_ca"] = json!("form");
        fields["se_ac"] = json!("sign_up");
    }
    if let Some(session) = session(event) {
        fields["sid"] = json!(session);
    }
    fields
}
