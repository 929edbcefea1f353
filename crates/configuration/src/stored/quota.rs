//! The records of properties that have had all hits of a local day: `quota/p_…`.
//!
//! In: what an api counted. Out: the record, and back. There is one for a property, which the next day's takes the place of; it goes to
//! edges as it is. Invariant: it holds on its own date and under the quota that it was made under, so that nobody has to take it away: the
//! next midnight does, or a higher quota.

use property::Quota;
use prost::Message as _;
use proto::config as wire;

use super::{StoredError, decode, wrong};

/// `quota/p_…`: [`wire::StoredOverQuota`].
pub const OVER_QUOTA: &str = "quota/";

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverQuota {
    /// Days since 1970-01-01 of the date in the property's zone.
    pub local_date: i32,
    /// The quota that was reached.
    pub daily_hits: u64,
}

impl OverQuota {
    /// Whether hits are refused on this date, with the quota as it is now.
    pub fn holds(self, quota: Quota, local_date: i32) -> bool {
        quota.daily_hits > 0 && self.local_date == local_date && self.daily_hits >= quota.daily_hits
    }
}

/// Key of the record of a property.
pub fn key(property_id: &str) -> String {
    format!("{OVER_QUOTA}{property_id}")
}

/// Value of the record of a property.
pub fn value(property_id: &str, over: OverQuota) -> Vec<u8> {
    let OverQuota { local_date, daily_hits } = over;
    wire::StoredOverQuota { property_id: property_id.to_owned(), local_date, daily_hits }.encode_to_vec()
}

/// The property and what its record says.
///
/// # Errors
/// When it cannot be read, or is that of another property.
pub fn read(key: &str, value: &[u8]) -> Result<(String, OverQuota), StoredError> {
    let wire::StoredOverQuota { property_id, local_date, daily_hits } = decode(key, value)?;
    if key != self::key(&property_id) {
        return Err(wrong(key, &format!("property_id is {property_id:?}, another one")));
    }
    Ok((property_id, OverQuota { local_date, daily_hits }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_out_as_it_went_in_and_under_its_own_key() {
        for local_date in [-1, 0, 20_454] {
            let over = OverQuota { local_date, daily_hits: u64::MAX };
            let value = value("p_a", over);
            assert_eq!(read("quota/p_a", &value).unwrap(), ("p_a".to_owned(), over));
            let error = read("quota/p_b", &value).unwrap_err().to_string();
            assert!(error.contains("quota/p_b") && error.contains("p_a"), "{error}");
        }
        assert!(read("quota/p_a", b"\xff").is_err());
    }

    #[test]
    fn it_holds_on_its_date_and_until_the_quota_is_raised() {
        let over = OverQuota { local_date: 7, daily_hits: 10 };
        for (daily_hits, date, holds) in [
            (10, 7, true),
            (10, 6, false),
            (10, 8, false),
            // Raised, lowered, taken away.
            (11, 7, false),
            (9, 7, true),
            (0, 7, false),
        ] {
            let quota = Quota { daily_hits, hits_per_second: 0 };
            assert_eq!(over.holds(quota, date), holds, "{daily_hits} on {date}");
        }
    }
}
