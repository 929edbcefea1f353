//! What was parsed, as text for tests: one line for each entry, fields that are empty left out.

use std::fmt::Write;

use hit::Parameter;
use hit::parameter::Value;

use super::{Entry, Request, Sent};
use crate::parsed::{HitTime, ParsedHit};
use crate::refusal::Refusal;

/// A request without headers.
pub(crate) fn request<'a>(query: &'a str, body: &'a str) -> Request<'a> {
    static NONE: std::sync::LazyLock<http::HeaderMap> = std::sync::LazyLock::new(http::HeaderMap::new);
    Request { path: "/", query, headers: &NONE, body: body.as_bytes() }
}

/// All entries, or `refused CODE FIELD`.
pub(crate) fn shown(sent: Result<Sent<'_>, Refusal>) -> String {
    match sent {
        Ok(sent) => {
            let lines = sent.entries.iter().map(|entry| match entry {
                Entry::Hit { site, hit } => format!("{site}: {}", shown_hit(hit)),
                Entry::Dropped { site, reason } => format!("{site}: dropped {}", reason.as_str()),
                Entry::Refused(refusal) => shown_refusal(refusal),
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(refusal) => shown_refusal(&refusal),
    }
}

fn shown_refusal(refusal: &Refusal) -> String {
    format!("refused {} {}", refusal.code.as_str(), refusal.field).trim_end().to_owned()
}

fn shown_hit(hit: &ParsedHit<'_>) -> String {
    let mut text = hit.event.to_string();
    let texts = [
        ("url", &hit.url),
        ("from", &hit.referrer),
        ("title", &hit.title),
        ("language", &hit.language),
        ("screen", &hit.screen),
        ("client", &hit.client_id),
        ("session", &hit.session_id),
        ("id", &hit.id),
    ];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _infallible = write!(text, " {name}={value}");
    }
    if hit.engagement_ms > 0 {
        let _infallible = write!(text, " engaged={}", hit.engagement_ms);
    }
    match hit.time {
        HitTime::Age(0) => {}
        time => {
            let _infallible = write!(text, " {time:?}");
        }
    }
    if hit.first_visit == Some(true) {
        text.push_str(" first");
    }
    if let Some(consent) = hit.consent {
        let _infallible = write!(text, " consent={consent:?}");
    }
    if let Some(user_agent) = &hit.user_agent {
        let _infallible = write!(text, " ua={user_agent}");
    }
    if let Some(hints) = &hit.client_hints {
        let _infallible = write!(
            text,
            " hints={}/{}/{}/{:?}",
            hints.brands, hints.platform, hints.platform_version, hints.mobile
        );
    }
    if hit.sent_by_server {
        text.push_str(" server");
    }
    for item in &hit.items {
        let (price, quantity) = (item.price.unwrap_or(0.0), item.quantity.unwrap_or(0.0));
        let _infallible = write!(text, " item={}/{}/{quantity}x{price}", item.id, item.name);
        shown_params(&item.params, &mut text);
    }
    shown_params(&hit.params, &mut text);
    text
}

fn shown_params(params: &[Parameter], text: &mut String) {
    for param in params {
        let _infallible = match &param.value {
            Some(Value::Text(value)) => write!(text, " {}={value:?}", param.key),
            Some(Value::Number(value)) => write!(text, " {}={value}", param.key),
            Some(Value::Flag(value)) => write!(text, " {}={value}", param.key),
            None => Ok(()),
        };
    }
}
