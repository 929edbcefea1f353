//! Visitor ids: 64-bit keyed hashes that stand for a visitor without saying who it is.
//!
//! With a client id: SipHash-2-4 under the property's permanent key over (property, client id). Without: over (property,
//! registrable domain of the page, address, user agent) under the salt of the local date of the event, so that the same
//! visitor is another one on the next day; a date without a salt has a key derived from property and date. Every field
//! is hashed with its length before it (`u64`, little endian), so that no two lists of fields read the same.
//!
//! Edges find ids of hits, and an api those of a visitor who is to be erased: one code for both, or the wrong one would be erased.

use std::hash::Hasher;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use siphasher::sip::SipHasher24;
use siphasher::sip128;

use crate::SaltMap;

/// The property's part of a visitor id.
#[derive(Debug, Clone, Copy)]
pub struct PropertyKeys<'a> {
    /// Property id.
    pub property_id: &'a str,
    /// Its permanent key.
    pub visitor_key: &'a [u8; 16],
    /// Its zone.
    pub zone: &'a TimeZone,
    /// Session time-out, milliseconds: how long after midnight the day before still counts.
    pub session_timeout_ms: u64,
}

/// What a cookieless visitor is told by.
#[derive(Debug, Clone, Copy)]
pub struct Traits<'a> {
    /// Host of the page; empty: none.
    pub host: &'a str,
    /// Full address; goes no further than this.
    pub address: IpAddr,
    /// User agent.
    pub user_agent: &'a str,
}

/// The ids of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitorIds {
    /// On the local date of the event.
    pub visitor_id: u64,
    /// On the date before, when local midnight is less than a session time-out ago.
    pub previous_visitor_id: Option<u64>,
}

/// The id of a visitor who sent a client id.
pub fn with_client_id(keys: PropertyKeys<'_>, client_id: &str) -> VisitorIds {
    let visitor_id = hash(keys.visitor_key, &[keys.property_id.as_bytes(), client_id.as_bytes()]);
    VisitorIds { visitor_id, previous_visitor_id: None }
}

/// The ids of a visitor without one.
pub fn cookieless(
    keys: PropertyKeys<'_>,
    traits: Traits<'_>,
    event_time_ms: u64,
    salts: &SaltMap,
) -> VisitorIds {
    let id_on = |date| cookieless_on(keys, traits, date, salts);
    let millis = i64::try_from(event_time_ms).unwrap_or(i64::MAX);
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    let local = instant.to_zoned(keys.zone.clone());
    let date = local.date();
    // The first instant of a day is not always 00:00: clocks may be set forward at midnight.
    let since_midnight_ms = local
        .start_of_day()
        .ok()
        .and_then(|start| u64::try_from(millis - start.timestamp().as_millisecond()).ok());
    let is_early = since_midnight_ms.is_some_and(|since| since < keys.session_timeout_ms);
    let previous = date.yesterday().ok().filter(|_| is_early);
    VisitorIds { visitor_id: id_on(date), previous_visitor_id: previous.map(id_on) }
}

/// The id of a visitor without a client id on a local date of the event.
pub fn cookieless_on(keys: PropertyKeys<'_>, traits: Traits<'_>, date: Date, salts: &SaltMap) -> u64 {
    identify(&key_of(keys, date, salts), keys.property_id, traits)
}

fn identify(key: &[u8; 16], property_id: &str, traits: Traits<'_>) -> u64 {
    let domain = psl::domain_str(traits.host).unwrap_or(traits.host);
    let (v4, v6);
    let address: &[u8] = match traits.address {
        IpAddr::V4(address) => {
            v4 = address.octets();
            &v4
        }
        IpAddr::V6(address) => {
            v6 = address.octets();
            &v6
        }
    };
    hash(key, &[property_id.as_bytes(), domain.as_bytes(), address, traits.user_agent.as_bytes()])
}

fn key_of(keys: PropertyKeys<'_>, date: Date, salts: &SaltMap) -> [u8; 16] {
    if let Some(salt) = salts.get(&date) {
        return *salt.bytes();
    }
    let mut hasher = sip128::SipHasher24::new_with_key(keys.visitor_key);
    push(&mut hasher, b"visitor key of a date");
    push(&mut hasher, keys.property_id.as_bytes());
    push(&mut hasher, date.to_string().as_bytes());
    sip128::Hasher128::finish128(&hasher).as_bytes()
}

fn hash(key: &[u8; 16], fields: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    for field in fields {
        push(&mut hasher, field);
    }
    hasher.finish()
}

fn push(hasher: &mut impl Hasher, field: &[u8]) {
    hasher.write(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.write(field);
}

#[cfg(test)]
mod tests;
