//! Salts of calendar dates: 16 random bytes each, which make cookieless visitor ids of different days unlinkable.
//!
//! They are made by the apis, one per date for everybody, and go from service to service beside the configuration. [`Salts`] is what a
//! service holds of them in memory. A date needs its salt as long as it is that date somewhere on earth (from UTC+14 to UTC-12), and
//! keeps it until 72 h after it began anywhere. Invariants: salts are in no replica, no log and no snapshot; `Debug` shows none; what is
//! told adds to what is held and takes nothing away, so that only time ends a salt.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::config as wire;
use siphasher::sip128::SipHasher24;
use tokio::sync::watch;

/// Bytes of a salt: a SipHash key.
pub const SALT_BYTES: usize = 16;

/// How long after its beginning anywhere a date's salt lives, milliseconds (72 h).
const LIFE_MS: i64 = 72 * 3_600_000;

/// The easternmost offset from UTC, milliseconds: where a date begins first.
const EASTERNMOST_MS: i64 = 14 * 3_600_000;

/// The westernmost offset from UTC, milliseconds: where a date begins last.
const WESTERNMOST_MS: i64 = -12 * 3_600_000;

/// Dates held in advance.
const AHEAD_DAYS: usize = 2;

/// Dates beyond these that are taken from a source whose clock is ahead.
const MARGIN_DAYS: usize = 1;

/// Most salts that are read of one message; there are seven at a time at most.
const MOST: usize = 64;

/// The salt of a date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// These bytes.
    pub const fn new(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key for hashing.
    pub const fn bytes(&self) -> &[u8; SALT_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// Salts by date.
pub type SaltMap = BTreeMap<Date, Salt>;

/// An object that is no salt of its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSalt {
    /// Another length.
    #[error("it has {0} bytes instead of {OBJECT_BYTES}")]
    Length(usize),
    /// Other bytes than were written, or those of another date.
    #[error("its checksum does not fit")]
    Checksum,
}

/// Bytes of a stored salt.
pub const OBJECT_BYTES: usize = 2 * SALT_BYTES;

/// A salt as it is stored: its bytes, then SipHash-2-4-128 of date and bytes under a zero key.
pub fn to_object(date: Date, salt: &Salt) -> Vec<u8> {
    [salt.0, checksum(date, &salt.0)].concat()
}

/// Reads one.
///
/// # Errors
/// When it is damaged, or another date's.
pub fn of_object(date: Date, bytes: &[u8]) -> Result<Salt, NoSalt> {
    let whole = <&[u8; OBJECT_BYTES]>::try_from(bytes).map_err(|_| NoSalt::Length(bytes.len()))?;
    let (salt, sum) = whole.split_first_chunk::<SALT_BYTES>().ok_or(NoSalt::Length(bytes.len()))?;
    if checksum(date, salt) == sum { Ok(Salt(*salt)) } else { Err(NoSalt::Checksum) }
}

fn checksum(date: Date, salt: &[u8; SALT_BYTES]) -> [u8; SALT_BYTES] {
    let mut bytes = date.to_string().into_bytes();
    bytes.extend(salt);
    SipHasher24::new().hash(&bytes).as_bytes()
}

/// The dates that it is somewhere on earth, from the first to the last; none by a clock that shows no date.
pub fn somewhere(now_ms: u64) -> Vec<Date> {
    days(now_ms, 0)
}

/// Those that need a salt by now: somewhere, or soon.
pub fn wanted(now_ms: u64) -> Vec<Date> {
    days(now_ms, AHEAD_DAYS)
}

fn days(now_ms: u64, more: usize) -> Vec<Date> {
    let at = |offset_ms: i64| date_at(i64::try_from(now_ms).ok()?.checked_add(offset_ms)?);
    let (Some(first), Some(last)) = (at(WESTERNMOST_MS), at(EASTERNMOST_MS)) else { return Vec::new() };
    let mut dates = Vec::new();
    let mut next = Some(first);
    let mut left = more;
    while let Some(date) = next {
        if date > last {
            let Some(one_less) = left.checked_sub(1) else { break };
            left = one_less;
        }
        dates.push(date);
        next = date.tomorrow().ok();
    }
    dates
}

/// Whether the salt of a date must not be used any more.
pub fn has_expired(date: Date, now_ms: u64) -> bool {
    let expires_ms = began_ms(date).map(|began_ms| began_ms.saturating_add(LIFE_MS));
    // What is not even an instant is no date of ours.
    expires_ms.is_none_or(|expires_ms| i64::try_from(now_ms).is_ok_and(|now| now >= expires_ms))
}

/// The dates somewhere on earth that have no salt here.
pub fn missing(salts: &SaltMap, now_ms: u64) -> Vec<Date> {
    somewhere(now_ms).into_iter().filter(|date| !salts.contains_key(date)).collect()
}

/// From when on there is a date somewhere on earth without a salt here, unix milliseconds: not later than `now_ms` if there is one now.
pub fn covered_until_ms(salts: &SaltMap, now_ms: u64) -> u64 {
    let mut next = somewhere(now_ms).first().copied();
    while let Some(date) = next {
        if !salts.contains_key(&date) {
            return began_ms(date).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        }
        next = date.tomorrow().ok();
    }
    0
}

/// The date at an instant in UTC, unix milliseconds.
fn date_at(ms: i64) -> Option<Date> {
    Some(Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::UTC).date())
}

/// When a date begins first, unix milliseconds.
fn began_ms(date: Date) -> Option<i64> {
    let midnight = date.to_zoned(TimeZone::UTC).ok()?;
    midnight.timestamp().as_millisecond().checked_sub(EASTERNMOST_MS)
}

/// Salts as they are told.
pub fn to_wire(salts: &SaltMap) -> wire::Salts {
    let salt =
        |(date, salt): (&Date, &Salt)| wire::DateSalt { date: date.to_string(), salt: salt.0.to_vec() };
    wire::Salts { salts: salts.iter().map(salt).collect() }
}

/// Salts that were told, and how many of the entries are none.
pub fn of_wire(told: &wire::Salts) -> (SaltMap, usize) {
    let read = |told: &wire::DateSalt| {
        let bytes = <[u8; SALT_BYTES]>::try_from(told.salt.as_slice()).ok()?;
        Some((told.date.parse::<Date>().ok()?, Salt(bytes)))
    };
    let salts: SaltMap = told.salts.iter().take(MOST).filter_map(read).collect();
    let wrong = told.salts.len().saturating_sub(salts.len());
    (salts, wrong)
}

/// What a service holds, in memory alone. Clones share it.
#[derive(Debug, Clone)]
pub struct Salts {
    held: watch::Sender<Arc<SaltMap>>,
}

impl Default for Salts {
    fn default() -> Self {
        Self::new(SaltMap::new())
    }
}

impl Salts {
    /// Holds these.
    pub fn new(salts: SaltMap) -> Self {
        Self { held: watch::Sender::new(Arc::new(salts)) }
    }

    /// Those that are held.
    pub fn held(&self) -> Arc<SaltMap> {
        Arc::clone(&self.held.borrow())
    }

    /// Told whenever that changes.
    pub fn watch(&self) -> watch::Receiver<Arc<SaltMap>> {
        self.held.subscribe()
    }

    /// Takes what was told, and lets go of what has expired; gives the dates that had another salt. What is far ahead is not taken,
    /// so that the map stays small.
    pub fn put(&self, told: &SaltMap, now_ms: u64) -> Vec<Date> {
        let last = days(now_ms, AHEAD_DAYS + MARGIN_DAYS).last().copied();
        let is_in_force = |date: &Date| !has_expired(*date, now_ms) && last.is_some_and(|last| *date <= last);
        let mut replaced = Vec::new();
        self.held.send_if_modified(|held| {
            let mut next: SaltMap =
                held.iter().filter(|(date, _)| !has_expired(**date, now_ms)).map(own).collect();
            for (date, salt) in told.iter().filter(|(date, _)| is_in_force(date)) {
                if next.insert(*date, *salt).is_some_and(|before| before != *salt) {
                    replaced.push(*date);
                }
            }
            let is_new = **held != next;
            if is_new {
                *held = Arc::new(next);
            }
            is_new
        });
        replaced
    }

    /// Lets go of what has expired.
    pub fn let_go(&self, now_ms: u64) {
        self.put(&SaltMap::new(), now_ms);
    }
}

fn own((date, salt): (&Date, &Salt)) -> (Date, Salt) {
    (*date, *salt)
}

#[cfg(test)]
mod tests;
