//! Changes what a property is called and which facts hold for it: name, host names, currency, time zone, data region, quota.
//!
//! In: a property, and the fields that are to be otherwise. Out: the property after it. Time zone and currency are part of the rules, so
//! another one is a new version beside the old ones: hits that came before keep theirs.

use hit::Rules;

use crate::create::{CreateError, NewProperty, check};
use crate::model::Property;
use crate::quota::QuotaChange;

/// Fields that are to be otherwise; `None`: as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertyUpdate {
    /// Display name.
    pub name: Option<String>,
    /// IANA time zone; empty: UTC.
    pub time_zone: Option<String>,
    /// ISO 4217; empty: USD.
    pub currency: Option<String>,
    /// Host names of the site; empty: any.
    pub hostnames: Option<Vec<String>>,
    /// Where its hits stay; empty: wherever the edge that takes them is at home.
    pub data_region: Option<String>,
    /// How many hits are taken of it.
    pub quota: QuotaChange,
}

impl Property {
    /// The property and its display name after the update, which is at `now_ms`.
    ///
    /// # Errors
    /// With the field that cannot be used.
    pub fn updated(
        &self,
        name: &str,
        update: PropertyUpdate,
        now_ms: u64,
    ) -> Result<(Self, String), CreateError> {
        let rules = self.current_rules();
        let is_other_zone = update.time_zone.is_some();
        let wanted = check(NewProperty {
            name: update.name.unwrap_or_else(|| name.to_owned()),
            // A zone that a later zone database lacks stays as it is, as long as nobody sets it.
            time_zone: update.time_zone.unwrap_or_default(),
            currency: update.currency.unwrap_or_else(|| rules.currency.clone()),
            hostnames: update.hostnames.unwrap_or_else(|| self.hostnames.clone()),
            data_region: update.data_region.unwrap_or_else(|| self.data_region.clone()),
            quota: update.quota,
        })?;
        let time_zone = if is_other_zone { wanted.time_zone } else { rules.time_zone.clone() };
        let mut property = Self {
            hostnames: wanted.hostnames,
            data_region: wanted.data_region,
            quota: update.quota.on(self.quota),
            ..self.clone()
        };
        if time_zone != rules.time_zone || wanted.currency != rules.currency {
            let changed = Rules { time_zone, currency: wanted.currency, ..(**rules).clone() };
            property.rules = self.rules.with(changed, now_ms).map_err(|invalid| CreateError::Invalid {
                field: invalid.field,
                value: invalid.value,
                problem: invalid.problem,
            })?;
        }
        Ok((property, wanted.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property() -> Property {
        let new = NewProperty {
            name: "Shop".into(),
            time_zone: "Europe/Berlin".into(),
            currency: "EUR".into(),
            hostnames: vec!["a.example".into()],
            data_region: "eu".into(),
            quota: QuotaChange { daily_hits: Some(1_000), hits_per_second: None },
        };
        new.create(0).unwrap().property
    }

    #[test]
    fn what_is_not_named_stays_and_makes_no_version() {
        let before = property();
        let (after, name) = before.updated("Shop", PropertyUpdate::default(), 1).unwrap();
        assert_eq!((&after, name.as_str()), (&before, "Shop"));
        let update = PropertyUpdate {
            name: Some("Store".into()),
            hostnames: Some(vec!["B.example".into()]),
            data_region: Some("us".into()),
            quota: QuotaChange { daily_hits: None, hits_per_second: Some(5) },
            ..PropertyUpdate::default()
        };
        let (after, name) = before.updated("Shop", update, 1).unwrap();
        assert_eq!((name.as_str(), after.hostnames.as_slice()), ("Store", &["b.example".to_owned()][..]));
        assert_eq!((after.data_region.as_str(), &after.rules), ("us", &before.rules));
        assert_eq!((after.quota.daily_hits, after.quota.hits_per_second), (1_000, 5));
        let none = QuotaChange { daily_hits: Some(0), hits_per_second: None };
        let update = PropertyUpdate { quota: none, ..PropertyUpdate::default() };
        let (after, _) = after.updated("Shop", update, 1).unwrap();
        assert_eq!((after.quota.daily_hits, after.quota.hits_per_second), (0, 5));
    }

    #[test]
    fn zone_and_currency_are_a_new_version_of_the_rules() {
        let before = property();
        let update = PropertyUpdate {
            time_zone: Some("asia/kathmandu".into()),
            currency: Some("NPR".into()),
            ..PropertyUpdate::default()
        };
        let (after, _) = before.updated("Shop", update, 1).unwrap();
        assert_eq!((after.time_zone(), after.currency()), ("Asia/Kathmandu", "NPR"));
        assert_eq!((after.current_rules().version, after.rules.version(1)), (2, before.rules.version(1)));
        let same = PropertyUpdate { currency: Some("NPR".into()), ..PropertyUpdate::default() };
        assert_eq!(after.updated("Shop", same, 2).unwrap().0, after);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_field() {
        for (update, field) in [
            (PropertyUpdate { name: Some(String::new()), ..PropertyUpdate::default() }, "name"),
            (PropertyUpdate { time_zone: Some("Mars".into()), ..PropertyUpdate::default() }, "time_zone"),
            (PropertyUpdate { currency: Some("eur".into()), ..PropertyUpdate::default() }, "currency"),
            (
                PropertyUpdate { hostnames: Some(vec!["a/b".into()]), ..PropertyUpdate::default() },
                "hostnames[0]",
            ),
            (PropertyUpdate { data_region: Some("E U".into()), ..PropertyUpdate::default() }, "data_region"),
        ] {
            let message = property().updated("Shop", update, 1).unwrap_err().to_string();
            assert!(message.starts_with(field), "{message}");
        }
    }
}
