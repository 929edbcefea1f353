//! Makes a property: checks what was asked for, draws ids and keys.
//!
//! In: a request. Out: the property and its secrets, which are nowhere else. That its ids are nobody else's is decided where it is
//! stored.

use std::sync::Arc;

use hit::Rules;
use jiff::Timestamp;

use crate::key::{ApiSecret, KeyHash, VisitorKey, random_base32, random_measurement_id, random_secret};
use crate::model::{HOSTNAMES_MAX, Property, check_currency, check_data_region, check_hostname, check_name};
use crate::quota::{Quota, QuotaChange};
use crate::rulebook::{Rulebook, known_zone};

/// What a new property is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewProperty {
    /// Display name, 1–100 characters.
    pub name: String,
    /// IANA time zone; empty: UTC.
    pub time_zone: String,
    /// ISO 4217; empty: USD.
    pub currency: String,
    /// Host names of the site; empty: any.
    pub hostnames: Vec<String>,
    /// Data region that its hits stay in; empty: wherever the edge that takes them is at home.
    pub data_region: String,
    /// How many hits are taken of it; what is not named has no limit.
    pub quota: QuotaChange,
}

/// A new property and its secrets, which are nowhere else.
#[derive(Debug, Clone)]
pub struct Created {
    /// As edges know it.
    pub property: Property,
    /// Display name.
    pub name: String,
    /// `sk_…`: server-side hits and imports.
    pub api_secret: String,
    /// `rk_…`: reads reports.
    pub report_key: String,
}

/// Why a property was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A field cannot be used.
    #[error("{field} is {value:?}, {problem}")]
    Invalid {
        /// The field, as in the request: `hostnames[2]`.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for the keys of the new property: {0}")]
    Random(getrandom::Error),
}

/// A checked request.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) currency: String,
    pub(crate) hostnames: Vec<String>,
    pub(crate) data_region: String,
}

pub(crate) fn check(new: NewProperty) -> Result<Wanted, CreateError> {
    let invalid = |field: &str, value: &str, problem: &str| CreateError::Invalid {
        field: field.to_owned(),
        value: value.to_owned(),
        problem: problem.to_owned(),
    };
    check_name(&new.name).map_err(|problem| invalid("name", &new.name, problem))?;
    let zone = if new.time_zone.is_empty() { "UTC" } else { &new.time_zone };
    // The name as the zone database spells it, so that equal zones are equal texts.
    let time_zone =
        known_zone(zone).and_then(|found| found.iana_name().map(str::to_owned)).ok_or_else(|| {
            invalid(
                "time_zone",
                zone,
                "which is not a known time zone; use an IANA name such as Europe/Berlin",
            )
        })?;
    let currency = if new.currency.is_empty() { "USD".to_owned() } else { new.currency };
    check_currency(&currency).map_err(|problem| invalid("currency", &currency, problem))?;
    if new.hostnames.len() > HOSTNAMES_MAX {
        let problem = format!("which is more than {HOSTNAMES_MAX} host names; leave it empty to accept any");
        return Err(invalid("hostnames", &new.hostnames.len().to_string(), &problem));
    }
    let mut hostnames = Vec::with_capacity(new.hostnames.len());
    for (index, hostname) in new.hostnames.iter().enumerate() {
        let lower = hostname.to_ascii_lowercase();
        check_hostname(&lower)
            .map_err(|problem| invalid(&format!("hostnames[{index}]"), hostname, problem))?;
        hostnames.push(lower);
    }
    let data_region = new.data_region;
    check_data_region(&data_region).map_err(|problem| invalid("data_region", &data_region, problem))?;
    Ok(Wanted { name: new.name, time_zone, currency, hostnames, data_region })
}

impl NewProperty {
    /// Checks it and draws ids and keys; `now_ms` is its time of creation.
    ///
    /// # Errors
    /// With the field that cannot be used; when there are no random bytes.
    pub fn create(self, now_ms: u64) -> Result<Created, CreateError> {
        let quota = self.quota.on(Quota::default());
        let wanted = check(self)?;
        let created_at = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let rules = Rules { currency: wanted.currency, ..Rules::first(&wanted.time_zone) };
        let rules = Rulebook::try_from(vec![rules]).map_err(|problem| CreateError::Invalid {
            field: "time_zone".into(),
            value: wanted.time_zone,
            problem,
        })?;
        let api_secret = random_secret("sk_").map_err(CreateError::Random)?;
        let report_key = random_secret("rk_").map_err(CreateError::Random)?;
        let drawn = |count| random_base32(count).map_err(CreateError::Random);
        let property = Property {
            property_id: format!("p_{}", drawn(12)?),
            measurement_id: random_measurement_id().map_err(CreateError::Random)?,
            hostnames: wanted.hostnames,
            created_at: created_at.unwrap_or(Timestamp::MAX),
            api_secrets: Arc::from([ApiSecret { hash: KeyHash::of(&api_secret), expires_at_ms: 0 }]),
            visitor_key: VisitorKey::random().map_err(CreateError::Random)?,
            rules,
            tracker: None,
            data_region: wanted.data_region,
            quota,
        };
        Ok(Created { property, name: wanted.name, api_secret, report_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> NewProperty {
        NewProperty { name: name.into(), time_zone: "europe/berlin".into(), ..NewProperty::default() }
    }

    #[test]
    fn a_new_property_has_ids_and_keys_of_its_own() {
        // 2015-05-17T10:05:00Z.
        let created = new("Shop").create(1_431_857_100_000).unwrap();
        let property = &created.property;
        assert_eq!(
            (created.name.as_str(), property.created_at.to_string()),
            ("Shop", "2015-05-17T10:05:00Z".into())
        );
        assert_eq!((property.time_zone(), property.currency()), ("Europe/Berlin", "USD"));
        assert!(property.accepts_api_secret(&created.api_secret, u64::MAX));
        assert!(!property.accepts_api_secret(&created.report_key, 0));
        assert_eq!(property.check(), Ok(()));
        let other = new("Shop").create(0).unwrap();
        assert_ne!(
            (&property.property_id, &property.measurement_id, property.visitor_key),
            (&other.property.property_id, &other.property.measurement_id, other.property.visitor_key)
        );
        assert_ne!((created.api_secret, created.report_key), (other.api_secret, other.report_key));
    }

    #[test]
    fn bad_requests_are_refused_by_field() {
        let long = "x".repeat(101);
        let host = |host: &str| NewProperty { hostnames: vec!["ok.example".into(), host.into()], ..new("A") };
        for (bad, said) in [
            (new(""), "name is \"\""),
            (new(&long), "name is \"xxx"),
            (NewProperty { time_zone: "Mars/Olympus".into(), ..new("A") }, "time_zone is \"Mars/Olympus\""),
            (NewProperty { currency: "eur".into(), ..new("A") }, "currency is \"eur\""),
            (NewProperty { data_region: "EU".into(), ..new("A") }, "data_region is \"EU\""),
            (host("https://a.b"), "hostnames[1] is \"https://a.b\""),
        ] {
            let message = bad.create(0).unwrap_err().to_string();
            assert!(message.starts_with(said), "{message}");
        }
    }
}
