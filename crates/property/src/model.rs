//! A property as edges know it.
//!
//! Every field is checked when it is read: ids by their form, hashes and keys by their length, rules by [`Rulebook`].
//! Secrets are not in it, only their hashes; the visitor key is, so what is stored of it is not for everyone.

use std::sync::{Arc, LazyLock};

use hit::Rules;
use jiff::tz::TimeZone;

use crate::key::{ApiSecret, MEASUREMENT_ID_CHARS, VisitorKey, is_base32};
use crate::quota::Quota;
use crate::rulebook::Rulebook;
use crate::tracker::TrackerSettings;

/// Longest display name, characters.
pub const NAME_MAX_CHARS: usize = 100;

/// Longest name of a data region, characters.
pub const DATA_REGION_MAX_CHARS: usize = 32;

/// Most host names of one property.
pub const HOSTNAMES_MAX: usize = 100;

/// A tenant: one site or group of sites with its own reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// `p_` and 12 characters of `a-z2-7`.
    pub property_id: String,
    /// `M-` and 10 characters of `A-Z2-7`; public, goes into pages.
    pub measurement_id: String,
    /// Host names of the site, lower case; empty: any.
    pub hostnames: Vec<String>,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// Of secrets for server-side hits and imports.
    pub api_secrets: Arc<[ApiSecret]>,
    /// Permanent key of the ids of visitors who send a client id.
    pub visitor_key: VisitorKey,
    /// Versions of the rules from 1; the last one is in force.
    pub rules: Rulebook,
    /// What the tracker is told; none: its defaults.
    pub tracker: Option<Box<TrackerSettings>>,
    /// Data region that its hits stay in; empty: wherever the edge that takes them is at home.
    pub data_region: String,
    /// How many hits are taken of it.
    pub quota: Quota,
}

/// What most properties tell the tracker.
static USUAL_TRACKER: LazyLock<TrackerSettings> = LazyLock::new(TrackerSettings::default);

impl Property {
    /// The rules in force.
    pub fn current_rules(&self) -> &Arc<Rules> {
        self.rules.current()
    }

    /// The zone of the rules in force.
    pub fn zone(&self) -> &TimeZone {
        self.rules.zone()
    }

    /// Its IANA name.
    pub fn time_zone(&self) -> &str {
        &self.current_rules().time_zone
    }

    /// ISO 4217, of the rules in force.
    pub fn currency(&self) -> &str {
        &self.current_rules().currency
    }

    /// What the tracker is told.
    pub fn tracker(&self) -> &TrackerSettings {
        self.tracker.as_deref().unwrap_or(&USUAL_TRACKER)
    }

    /// Whether this is an API secret of the property that has not expired; every one is compared, in constant time.
    pub fn accepts_api_secret(&self, secret: &str, now_ms: u64) -> bool {
        self.api_secrets.iter().fold(false, |accepted, stored| {
            let is_in_force = stored.expires_at_ms == 0 || now_ms < stored.expires_at_ms;
            accepted | (stored.hash.accepts(secret) & is_in_force)
        })
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// Names field and value.
    pub fn check(&self) -> Result<(), String> {
        if !is_property_id(&self.property_id) {
            return Err(format!("property_id is {:?}, not p_ and 12 of a-z2-7", self.property_id));
        }
        if !is_measurement_id(&self.measurement_id) {
            return Err(format!("measurement_id is {:?}, not M- and 10 of A-Z2-7", self.measurement_id));
        }
        check_currency(self.currency())
            .map_err(|problem| format!("currency is {:?}, {problem}", self.currency()))?;
        for (index, hostname) in self.hostnames.iter().enumerate() {
            check_hostname(hostname)
                .map_err(|problem| format!("hostnames[{index}] is {hostname:?}, {problem}"))?;
        }
        check_data_region(&self.data_region)
            .map_err(|problem| format!("data_region is {:?}, {problem}", self.data_region))?;
        self.tracker().check().map_err(|invalid| invalid.to_string())
    }
}

/// Whether `text` has the form of a property id.
pub fn is_property_id(text: &str) -> bool {
    text.strip_prefix("p_").is_some_and(|rest| is_base32(rest, 12))
}

/// Whether `text` has the form of a measurement id.
pub fn is_measurement_id(text: &str) -> bool {
    text.strip_prefix("M-").is_some_and(|rest| {
        rest.bytes().all(|byte| !byte.is_ascii_lowercase())
            && is_base32(&rest.to_ascii_lowercase(), MEASUREMENT_ID_CHARS)
    })
}

/// Whether `text` can be the name of a data region. Edges keep what belongs to one in a directory of this name.
pub fn is_data_region(text: &str) -> bool {
    (1..=DATA_REGION_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a property's hits can be said to stay there.
pub(crate) fn check_data_region(region: &str) -> Result<(), &'static str> {
    if region.is_empty() || is_data_region(region) {
        return Ok(());
    }
    Err(
        "which is not 1 to 32 of a-z, 0-9 and hyphens; leave it empty for the region of whatever edge takes the hits",
    )
}

/// Whether this can be a display name.
///
/// # Errors
/// Says what is wrong with it and what would be right.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let good = (1..=NAME_MAX_CHARS).contains(&name.chars().count())
        && !name.trim().is_empty()
        && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err("which is not 1 to 100 printable characters; choose such a name") }
}

pub(crate) fn check_currency(currency: &str) -> Result<(), &'static str> {
    let good = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if good { Ok(()) } else { Err("which is not 3 upper-case letters; use an ISO 4217 code such as EUR") }
}

/// RFC 1123: labels of 1–63 letters, digits and inner hyphens, 253 characters at most; lower case here.
pub(crate) fn check_hostname(hostname: &str) -> Result<(), &'static str> {
    let good_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if hostname.len() <= 253 && hostname.split('.').all(good_label) {
        Ok(())
    } else {
        Err("which is not a host name; write it as in www.example.com, without scheme, port or path, \
             international names in their xn-- form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form() {
        for (text, property, measurement) in [
            ("p_abcdefghij27", true, false),
            ("p_abcdefghij2", false, false),
            ("p_abcdefghij2A", false, false),
            ("M-ABCDEFGH27", false, true),
            ("M-abcdefgh27", false, false),
            ("M-ABCDEFGH2/", false, false),
            ("../../etc/passwd", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_property_id(text), is_measurement_id(text)), (property, measurement), "{text}");
        }
    }

    #[test]
    fn data_regions_are_names_of_directories() {
        let longest = "x".repeat(32);
        for good in ["eu", "eu-west-1", "9", "-", &longest] {
            assert!(is_data_region(good) && check_data_region(good).is_ok(), "{good}");
        }
        let longer = "x".repeat(33);
        for bad in ["EU", "e u", "..", "a/b", "a.b", "ü", "a_b", &longer] {
            assert!(!is_data_region(bad) && check_data_region(bad).is_err(), "{bad}");
        }
        assert!(!is_data_region("") && check_data_region("").is_ok());
    }

    #[test]
    fn host_names_are_names_only() {
        for good in ["example.com", "localhost", "a-b.example", "xn--bcher-kva.example", "127.0.0.1"] {
            assert_eq!(check_hostname(good), Ok(()), "{good}");
        }
        for bad in ["", "https://a.b", "a..b", "-a.b", "a.b:80", "a/b", "bücher.example", "A.b", "*.a.b"] {
            assert!(check_hostname(bad).is_err(), "{bad}");
        }
    }
}
