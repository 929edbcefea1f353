//! Whose a request that was refused says it is, and how many hits it holds, so that its property can be told.
//!
//! In: a body that `own::collect` refused. Out: what could be read before it broke. Nothing else of it is kept or built, for a
//! request that is refused must not cost more than one that is taken.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MEASUREMENT_ID_BYTES;

/// What a refused request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The measurement id, whoever has it.
    pub measurement_id: String,
    /// Hits in it; 1 if their number cannot be read.
    pub hits: u64,
}

/// What a body claims, if it names a measurement id before it breaks.
pub fn of_body(body: &[u8]) -> Option<Claim> {
    let mut found = Found::default();
    // What was read before an error counts.
    let _broken = found.deserialize(&mut serde_json::Deserializer::from_slice(body));
    Some(Claim { measurement_id: found.measurement_id?, hits: found.hits.unwrap_or(1).max(1) })
}

#[derive(Default)]
struct Found {
    measurement_id: Option<String>,
    hits: Option<u64>,
}

impl<'de> DeserializeSeed<'de> for &mut Found {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Found {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "measurement_id" => {
                    let id = map.next_value::<Cow<'de, str>>()?;
                    if id.len() <= MEASUREMENT_ID_BYTES {
                        self.measurement_id.get_or_insert_with(|| id.into_owned());
                    }
                }
                "hits" => self.hits = Some(map.next_value_seed(Length)?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The number of entries of a list.
struct Length;

impl<'de> DeserializeSeed<'de> for Length {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Length {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut length = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_before_it_breaks_counts() {
        for (body, expected) in [
            (r#"{"measurement_id":"M-A","hits":[{},{"x":[1]},3]}"#, Some(("M-A", 3))),
            (r#"{"hits":[{},{}],"else":{"hits":[]},"measurement_id":"M-A"}"#, Some(("M-A", 2))),
            (r#"{"measurement_id":"M-\u0041","hits":[]}"#, Some(("M-A", 1))),
            (r#"{"measurement_id":"M-A","hits":{}}"#, Some(("M-A", 1))),
            (r#"{"measurement_id":"M-A"}"#, Some(("M-A", 1))),
            // Cut, as by a browser that closes.
            (r#"{"measurement_id":"M-A","hits":[{},{"url":"#, Some(("M-A", 1))),
            (r#"{"measurement_id":"M-A","hits":[{},{}]"#, Some(("M-A", 2))),
            (r#"{"hits":[{},{"url":"#, None),
            (r#"{"measurement_id":7,"hits":[{}]}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let claim = of_body(body.as_bytes());
            let found = claim.as_ref().map(|claim| (claim.measurement_id.as_str(), claim.hits));
            assert_eq!(found, expected, "{body}");
        }
        let long = format!(r#"{{"measurement_id":"{}"}}"#, "M".repeat(65));
        assert_eq!(of_body(long.as_bytes()), None);
    }
}
