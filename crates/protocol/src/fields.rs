//! Checks of single fields: a JSON value in, a value that cannot be wrong out, or a refusal that names the field.

use std::borrow::Cow;
use std::net::IpAddr;

use hit::{Parameter, PlainUrl, limits, parameter};
use jiff::Timestamp;
use url::Url;

use crate::hints::Hints;
use crate::json::Json;
use crate::parsed::Consent;
use crate::refusal::{Code, Refusal};

/// Where a hit's fields stand, for the paths in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The request itself.
    Request,
    /// `hits[n]`.
    Hit(usize),
    /// The query of a pixel.
    Pixel,
}

impl Place {
    /// The path of a field.
    pub fn field(self, name: &str) -> String {
        match self {
            Self::Hit(index) => format!("hits[{index}].{name}"),
            Self::Request | Self::Pixel => name.to_owned(),
        }
    }

    /// The path of a parameter.
    pub fn param(self, key: &str) -> String {
        match self {
            Self::Hit(index) => format!("hits[{index}].params.{key}"),
            Self::Request => format!("params.{key}"),
            Self::Pixel => format!("p.{key}"),
        }
    }

    /// The refusal of a field's value.
    pub fn invalid(self, name: &str, value: impl std::fmt::Display, message: String) -> Refusal {
        Refusal::field(Code::InvalidField, self.field(name), value, message)
    }
}

/// A string of at most `max_bytes`.
pub fn text<'a>(
    place: Place,
    name: &'static str,
    value: Json<'a>,
    max_bytes: usize,
) -> Result<Cow<'a, str>, Refusal> {
    match value {
        Json::Text(text) if text.len() <= max_bytes => Ok(text),
        Json::Text(text) => {
            let message = format!("{name} has {} bytes; send at most {max_bytes}", text.len());
            Err(place.invalid(name, text, message))
        }
        other => Err(place.invalid(name, &other, format!("{name} must be a string"))),
    }
}

/// A string of 1 to `max_bytes`.
pub fn id<'a>(
    place: Place,
    name: &'static str,
    value: Json<'a>,
    max_bytes: usize,
) -> Result<Cow<'a, str>, Refusal> {
    let text = text(place, name, value, max_bytes)?;
    if text.is_empty() {
        return Err(place.invalid(name, "", format!("{name} is empty; leave it out if there is none")));
    }
    Ok(text)
}

/// An event name.
pub fn event(place: Place, value: Json<'_>) -> Result<Cow<'_, str>, Refusal> {
    // A character has at most four bytes; the limit is in characters.
    let name = id(place, "event", value, limits::EVENT_CHARS * 4)?;
    if name.chars().count() > limits::EVENT_CHARS {
        let message = format!("event is longer than {} characters", limits::EVENT_CHARS);
        return Err(place.invalid("event", name, message));
    }
    Ok(name)
}

/// A page's URL and its host.
type PageUrl<'a> = (Cow<'a, str>, Cow<'a, str>);

/// An absolute http or https URL, and its host.
pub fn page_url(place: Place, value: Json<'_>) -> Result<PageUrl<'_>, Refusal> {
    let text = text(place, "url", value, limits::URL_BYTES)?;
    if let Cow::Borrowed(url) = text
        && let Some(plain) = PlainUrl::parse(url)
    {
        return Ok((text, Cow::Borrowed(plain.host)));
    }
    let host = match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url.host_str().map(str::to_owned),
        _ => None,
    };
    match host {
        Some(host) => Ok((text, Cow::Owned(host))),
        None => {
            let wrong = "url must be an absolute http or https URL, such as https://example.com/page";
            Err(place.invalid("url", text, wrong.into()))
        }
    }
}

/// A language tag: letters, digits, `-` and `_`.
pub fn language(place: Place, value: Json<'_>) -> Result<Cow<'_, str>, Refusal> {
    let text = text(place, "language", value, limits::LANGUAGE_BYTES)?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Ok(text);
    }
    Err(place.invalid("language", text, "language must be a tag such as en-GB".into()))
}

/// A screen size: `1440x900`.
pub fn screen(place: Place, value: Json<'_>) -> Result<Cow<'_, str>, Refusal> {
    let text = text(place, "screen", value, limits::SCREEN_BYTES)?;
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.split_once('x').is_some_and(|(width, height)| number(width) && number(height)) {
        return Ok(text);
    }
    Err(place.invalid("screen", text, "screen must be WIDTHxHEIGHT, such as 1440x900".into()))
}

/// A whole number from 0 to `max`.
pub fn whole(place: Place, name: &'static str, value: &Json<'_>, max: u64) -> Result<u64, Refusal> {
    match value {
        Json::Whole(number) if *number <= max => Ok(*number),
        other => Err(place.invalid(name, other, format!("{name} must be a whole number from 0 to {max}"))),
    }
}

/// `true` or `false`.
pub fn flag(place: Place, name: &'static str, value: &Json<'_>) -> Result<bool, Refusal> {
    match value {
        Json::Flag(flag) => Ok(*flag),
        other => Err(place.invalid(name, other, format!("{name} must be true or false"))),
    }
}

/// `"granted"` or `"denied"`.
pub fn consent(place: Place, value: &Json<'_>) -> Result<Consent, Refusal> {
    let parsed = match value {
        Json::Text(text) => Consent::parse(text),
        _ => None,
    };
    parsed.ok_or_else(|| place.invalid("consent", value, "consent must be granted or denied".into()))
}

/// An IP address.
pub fn address(place: Place, value: &Json<'_>) -> Result<IpAddr, Refusal> {
    let parsed = match value {
        Json::Text(text) => text.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        place.invalid("ip", value, "ip must be an IPv4 or IPv6 address, such as 203.0.113.7".into())
    })
}

/// A time since 1970: unix milliseconds, or RFC 3339.
pub fn time(place: Place, name: &'static str, value: &Json<'_>) -> Result<u64, Refusal> {
    let parsed = match value {
        Json::Whole(millis) => Timestamp::from_millisecond(i64::try_from(*millis).unwrap_or(i64::MAX)).ok(),
        Json::Text(text) => text.parse::<Timestamp>().ok(),
        _ => None,
    };
    parsed.and_then(|time| u64::try_from(time.as_millisecond()).ok()).ok_or_else(|| {
        let message = format!(
            "{name} must be a time since 1970, in unix milliseconds or RFC 3339, such as 2026-01-31T12:00:00Z"
        );
        place.invalid(name, value, message)
    })
}

/// What a browser says of itself beside the user agent: `brands` as `navigator.userAgentData` has them, `platform`, `platform_version`,
/// `mobile`. Texts that are too long are cut, for they are not the client's choice.
pub fn client_hints<'a>(place: Place, value: &Json<'a>) -> Result<Option<Hints<'a>>, Refusal> {
    let Json::Map(fields) = value else {
        return Err(place.invalid("client_hints", value, "client_hints must be an object".into()));
    };
    let is_text = |value: Option<&Json<'_>>| matches!(value, Some(Json::Text(_)));
    for (index, (name, value)) in fields.iter().enumerate() {
        let shown: String = name.chars().take(limits::PARAM_KEY_BYTES).collect();
        let refuse = |code, message: &str| {
            Err(Refusal::field(code, place.field(&format!("client_hints.{shown}")), value, message))
        };
        if fields[..index].iter().any(|(other, _)| other == name) {
            return refuse(Code::InvalidField, "it is given twice; send it once");
        }
        let wanted = match (name.as_ref(), value) {
            ("brands" | "platform" | "platform_version" | "mobile", Json::Null)
            | ("platform" | "platform_version", Json::Text(_))
            | ("mobile", Json::Flag(_)) => continue,
            ("brands", Json::List(list))
                if list.iter().all(|brand| is_text(brand.get("brand")) && is_text(brand.get("version"))) =>
            {
                continue;
            }
            ("brands", _) => "it must be a list of {\"brand\": \"…\", \"version\": \"…\"}",
            ("mobile", _) => "it must be true or false",
            ("platform" | "platform_version", _) => "it must be a string",
            _ => {
                let known = "known are brands, platform, platform_version and mobile";
                return refuse(Code::UnknownField, &format!("there is no such field; {known}"));
            }
        };
        return refuse(Code::InvalidField, wanted);
    }
    Ok(Hints::of_json(value))
}

/// Event parameters.
pub fn params(place: Place, value: Json<'_>) -> Result<Vec<Parameter>, Refusal> {
    let entries = match value {
        Json::Map(entries) => entries,
        other => return Err(place.invalid("params", &other, "params must be an object".into())),
    };
    if entries.len() > limits::PARAMS {
        let message = format!("params has {} entries; send at most {}", entries.len(), limits::PARAMS);
        return Err(place.invalid("params", entries.len(), message));
    }
    let mut params: Vec<Parameter> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if key.is_empty() || key.len() > limits::PARAM_KEY_BYTES {
            let message = format!("the name of a parameter must have 1 to {} bytes", limits::PARAM_KEY_BYTES);
            return Err(place.invalid("params", key, message));
        }
        if params.iter().any(|param| param.key == key) {
            let message = "a parameter is given twice; send it once".to_owned();
            return Err(Refusal::field(Code::InvalidField, place.param(&key), &value, message));
        }
        let value = param(&|| place.param(&key), value)?;
        params.push(Parameter { key: key.into_owned(), value: Some(value) });
    }
    Ok(params)
}

/// The value of a parameter that stands there.
pub(crate) fn param(field: &dyn Fn() -> String, value: Json<'_>) -> Result<parameter::Value, Refusal> {
    let refuse =
        |value: &Json<'_>, message: String| Err(Refusal::field(Code::InvalidField, field(), value, message));
    match value {
        Json::Flag(flag) => Ok(parameter::Value::Flag(flag)),
        // Numbers are doubles, as in JavaScript: whole ones beyond 2^53 lose their last digits.
        #[allow(clippy::cast_precision_loss)]
        Json::Whole(number) => Ok(parameter::Value::Number(number as f64)),
        #[allow(clippy::cast_precision_loss)]
        Json::Negative(number) => Ok(parameter::Value::Number(number as f64)),
        Json::Fraction(number) if number.is_finite() => Ok(parameter::Value::Number(number)),
        Json::Text(text) if text.len() <= limits::PARAM_VALUE_BYTES => {
            Ok(parameter::Value::Text(text.into_owned()))
        }
        Json::Text(text) => {
            let limit = limits::PARAM_VALUE_BYTES;
            let message = format!("the value has {} bytes; send at most {limit}", text.len());
            refuse(&Json::Text(text), message)
        }
        other => refuse(&other, "the value must be a string, a number, true or false".into()),
    }
}
