//! Where a client is by what a proxy in front of the edge says: the headers of a CDN.
//!
//! In: headers of a request whose peer is trusted. Out: a place, if the proxy names a country; then the database is not asked.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{Country, Located, tidy};

/// Headers in which trusted proxies say where a client is. Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocationHeaders {
    /// ISO 3166-1 alpha-2, such as `CF-IPCountry`.
    pub country: String,
    /// Name of the subdivision, such as `CF-Region`.
    pub region: String,
    /// Name of the city, such as `CF-IPCity`.
    pub city: String,
}

/// The same, checked.
#[derive(Debug, Default)]
pub(crate) struct Told {
    country: Option<HeaderName>,
    region: Option<HeaderName>,
    city: Option<HeaderName>,
}

impl Told {
    /// Checks the names; the error names the setting.
    pub(crate) fn by(headers: &LocationHeaders) -> Result<Self, String> {
        let told = Self {
            country: header_name("collect.location_headers.country", &headers.country)?,
            region: header_name("collect.location_headers.region", &headers.region)?,
            city: header_name("collect.location_headers.city", &headers.city)?,
        };
        if told.country.is_none() && (told.region.is_some() || told.city.is_some()) {
            return Err("collect.location_headers has a region or a city and no country; name the country's header too".into());
        }
        Ok(told)
    }

    /// Whether any header is read.
    pub(crate) fn is_any(&self) -> bool {
        self.country.is_some()
    }

    /// What the headers say; `None`: no country at all. A country that the proxy does not know makes the place unknown.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<Located<'a>> {
        let text = |name: &Option<HeaderName>| name.as_ref().and_then(|name| headers.get(name)).map(decode);
        let country = text(&self.country).filter(|country| !country.is_empty())?;
        let Some(country) = Country::of(&country) else { return Some(Located::default()) };
        let name = |name| text(name).map(tidy_decoded).unwrap_or_default();
        Some(Located { country, region: name(&self.region), city: name(&self.city) })
    }
}

/// The name of a header in a setting; empty: none.
pub(crate) fn header_name(setting: &str, name: &str) -> Result<Option<HeaderName>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    let parsed = HeaderName::from_bytes(name.as_bytes());
    parsed.map(Some).map_err(|_| format!("{setting} is {name:?}, which is no name of a header; write one as in CF-IPCountry, or leave it empty"))
}

/// Cloudflare writes UTF-8, CloudFront and Vercel percent-encode it, others write ISO 8859-1.
fn decode(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('%') => percent_decode_str(text).decode_utf8().unwrap_or(text.into()),
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn tidy_decoded(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => tidy(name).into(),
        Cow::Owned(name) => tidy(&name).to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &[u8])]) -> Option<(String, String, String)> {
        let named = LocationHeaders {
            country: "CF-IPCountry".into(),
            region: "CF-Region".into(),
            city: "CF-IPCity".into(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        let told = Told::by(&named).unwrap();
        let Located { country, region, city } = told.read(&headers)?;
        Some((country.as_str().to_owned(), region.into_owned(), city.into_owned()))
    }

    #[test]
    fn texts_are_read_as_proxies_write_them() {
        for (city, expected) in [
            (&b"Austin"[..], "Austin"),
            ("São Paulo".as_bytes(), "São Paulo"),
            (b"S%C3%A3o%20Paulo", "São Paulo"),
            (b"S\xe3o Paulo", "São Paulo"),
            (b"100%", "100%"),
            (b"%E3o", "%E3o"),
            (b"a%00b", ""),
            (b"", ""),
            (b" x ", "x"),
        ] {
            let found = read(&[("cf-ipcountry", b"br"), ("cf-ipcity", city)]).unwrap();
            assert_eq!(found, ("BR".to_owned(), String::new(), expected.to_owned()), "{city:?}");
        }
        let long = "é".repeat(100);
        let (_, region, _) = read(&[("cf-ipcountry", b"CA"), ("cf-region", long.as_bytes())]).unwrap();
        assert_eq!(region, "é".repeat(32));
    }

    #[test]
    fn a_country_that_the_proxy_does_not_know_is_unknown() {
        for country in [&b"XX"[..], b"xx", b"T1", b"Germany", b"\xe4\xf6"] {
            let found = read(&[("cf-ipcountry", country), ("cf-ipcity", b"Berlin")]);
            assert_eq!(found, Some(Default::default()), "{country:?}");
        }
        assert_eq!(read(&[("cf-ipcity", b"Berlin")]), None);
        assert_eq!(read(&[("cf-ipcountry", b"")]), None);
    }

    #[test]
    fn names_that_cannot_be_headers_are_refused() {
        let city = LocationHeaders { city: "CF-IPCity".into(), ..LocationHeaders::default() };
        assert!(Told::by(&city).unwrap_err().ends_with("name the country's header too"));
        let blank = LocationHeaders { country: "CF IPCountry".into(), ..LocationHeaders::default() };
        assert!(
            Told::by(&blank).unwrap_err().starts_with("collect.location_headers.country is \"CF IPCountry\"")
        );
        assert!(!Told::by(&LocationHeaders::default()).unwrap().is_any());
    }
}
