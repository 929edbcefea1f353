//! JSON as it was sent: borrowed, in its order, with repeated keys still there to be refused by name.
//!
//! In: the bytes of a request. Out: a tree that the field checks take apart. serde_json bounds the depth (128).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::refusal::{Code, Refusal};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Flag(bool),
    /// A whole number from 0.
    Whole(u64),
    /// A whole number below 0.
    Negative(i64),
    /// Any other number.
    Fraction(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// `[…]`
    List(Vec<Json<'a>>),
    /// `{…}`
    Map(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Reads the body of a request.
pub(crate) fn read(body: &[u8]) -> Result<Json<'_>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::whole(Code::InvalidJson, format!("the body is not JSON: {error}")))
}

impl<'a> Json<'a> {
    /// A value that some clients send as the text of its JSON; what cannot be read is null.
    pub(crate) fn unpacked(&self) -> Json<'_> {
        match self {
            Self::Text(text) => serde_json::from_str(text).unwrap_or(Json::Null),
            other => other.clone(),
        }
    }

    /// The first field of this name of an object; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let Self::Map(fields) = self else { return None };
        let (_, value) = fields.iter().find(|(key, _)| key == name)?;
        (*value != Self::Null).then_some(value)
    }

    /// A field of fields: `context`, `page`, `url`.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Json<'a>> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The entries of a list.
    pub(crate) fn as_list(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// A text, or a number or truth value as text.
    pub(crate) fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    /// A number, also one that was sent as text.
    pub(crate) fn as_number(&self) -> Option<f64> {
        // Numbers are doubles, as in JavaScript: whole ones beyond 2^53 lose their last digits.
        #[allow(clippy::cast_precision_loss)]
        let number = match self {
            Self::Whole(number) => *number as f64,
            Self::Negative(number) => *number as f64,
            Self::Fraction(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// A whole number from 0, also one that was sent as text or with a fraction, which is cut off.
    pub(crate) fn as_whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            other => whole(other.as_number()?),
        }
    }

    /// The text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_text()
    }
}

/// A number from 0 without its fraction; `None` below 0 and beyond 2^53, up to where whole numbers are exact.
pub(crate) fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..=EXACT).contains(&number).then_some(number as u64)
}

impl fmt::Display for Json<'_> {
    /// As an error message shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Negative(number) => number.fmt(f),
            Self::Fraction(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::List(_) => f.write_str("[…]"),
            Self::Map(_) => f.write_str("{…}"),
        }
    }
}

/// A string that borrows where it can. serde's own `Cow` copies inside of collections.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(number).map_or(Json::Negative(number), Json::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Json::Fraction(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some((Key(key), value)) = entries.next_entry()? {
            map.push((key, value));
        }
        Ok(Json::Map(map))
    }
}
