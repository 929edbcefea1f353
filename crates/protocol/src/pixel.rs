//! `GET /v1/pixel.gif`: a hit as query parameters, for pages without script. Same names and checks as in JSON; event
//! parameters are `p.<name>` and always text.

use std::borrow::Cow;

use hit::limits;

use crate::fields::Place;
use crate::json::Json;
use crate::own::claim::Claim;
use crate::own::{self, CollectRequest};
use crate::refusal::{Code, Refusal};

/// Parses a query into a request of one hit.
pub fn collect(query: &str) -> Result<CollectRequest<'_>, Refusal> {
    if query.len() > limits::REQUEST_BYTES {
        let message = format!("the query may have {} bytes", limits::REQUEST_BYTES);
        return Err(Refusal::field(Code::TooLarge, "", query.len(), message));
    }
    let mut measurement_id = None;
    let (mut entries, mut params) = (Vec::new(), Vec::new());
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if key == "measurement_id" {
            if measurement_id.replace(value).is_some() {
                let message = "measurement_id is given twice; send it once".to_owned();
                return Err(Refusal::field(Code::InvalidField, "measurement_id", "", message));
            }
        } else if let Some(name) = key.strip_prefix("p.") {
            params.push((Cow::Owned(name.to_owned()), Json::Text(value)));
        } else if key == "params" {
            let message = "event parameters of a pixel are p.NAME".to_owned();
            return Err(Refusal::field(Code::UnknownField, "params", value, message));
        } else {
            let value = typed(&key, value);
            entries.push((key, value));
        }
    }
    let measurement_id = measurement_id.filter(|id| !id.is_empty()).ok_or_else(|| {
        Refusal::field(Code::MissingField, "measurement_id", "", "measurement_id is missing")
    })?;
    if !params.is_empty() {
        entries.push((Cow::Borrowed("params"), Json::Map(params)));
    }
    Ok(CollectRequest { measurement_id, hits: vec![own::hit(Place::Pixel, entries)?], import_until_ms: None })
}

/// Whose a query that was refused says it is.
pub fn claim(query: &str) -> Option<Claim> {
    let query = query.as_bytes().get(..limits::REQUEST_BYTES).unwrap_or(query.as_bytes());
    let (_, id) = url::form_urlencoded::parse(query).find(|(key, _)| key == "measurement_id")?;
    Some(Claim { measurement_id: id.into_owned(), hits: 1 })
}

/// The JSON value that a text stands for; one that cannot be read stays text, which the field's check then refuses.
fn typed<'a>(key: &str, text: Cow<'a, str>) -> Json<'a> {
    match key {
        "engagement_ms" | "age_ms" | "attempt" => number(text),
        "timestamp" if text.bytes().all(|b| b.is_ascii_digit()) => number(text),
        "first_visit" => match text.as_ref() {
            "true" => Json::Flag(true),
            "false" => Json::Flag(false),
            _ => Json::Text(text),
        },
        _ => Json::Text(text),
    }
}

fn number(text: Cow<'_, str>) -> Json<'_> {
    match text.parse() {
        Ok(number) => Json::Whole(number),
        Err(_) => Json::Text(text),
    }
}

#[cfg(test)]
mod tests;
