//! How many hits this edge has taken of properties that have a limit: on their local day, and just now.
//!
//! In: a property, how many hits of it are to be taken, and what apis have counted over all edges. Out: they are counted and may be taken, or
//! the refusal with the time from which on they may. The count is this edge's and this process's own, so a property with one edge never has
//! more hits than its quota while that edge runs, and one with several as many more as came in until an api had added them up. Nothing is
//! looked up or locked for a property without a limit. Bounded in properties; what finds no room is taken and counted as such.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use configuration::stored::quota::OverQuota;
use prometheus_client::metrics::counter::Counter;
use property::{Property, Quota, local_date, next_midnight_ms};
use protocol::{Code, Refusal};
use service::bucket::{Bucket, Rate};

use crate::properties::{Id, id_of};

/// How much of a rate may come at once: a page that loads and a batch are bursts.
const BURST: Duration = Duration::from_secs(5);

/// Longest `Retry-After`, seconds.
const RETRY_MAX_S: u64 = 86_400;

/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;

/// Least time between two looks of a full part for those of other days, milliseconds.
const LOOK_EVERY_MS: u64 = 1_000;

/// The counts of all accept threads.
#[derive(Debug)]
pub(crate) struct Quotas {
    shards: [Mutex<Shard>; SHARDS],
    shard_limit: usize,
    usual_per_second: u32,
    /// Hits taken without a place.
    uncounted: Counter,
}

#[derive(Debug, Default)]
struct Shard {
    counts: HashMap<Id, Count>,
    looked_at_ms: u64,
}

/// Of one property.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Days since 1970-01-01 of the date in its zone.
    date: i32,
    hits: u64,
    /// Whether its hits of the day are limited, and not only those of a second.
    is_daily: bool,
    bucket: Bucket,
}

/// When hits are to be taken, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
    /// Monotonic milliseconds.
    pub(crate) monotonic_ms: u64,
}

/// Hits that were counted, to be given back when they are not taken after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    id: Id,
    date: i32,
    hits: u64,
}

impl Quotas {
    /// Room for about so many properties; `usual_per_second` is the rate of those that name none, 0: no limit.
    pub(crate) fn new(properties: usize, usual_per_second: u32, uncounted: Counter) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            shard_limit: properties.div_ceil(SHARDS),
            usual_per_second,
            uncounted,
        }
    }

    /// The property's id, if it has a limit here.
    pub(crate) fn limited(&self, property: &Property) -> Option<Id> {
        let is_limited = property.quota != Quota::default() || self.usual_per_second > 0;
        if is_limited { id_of(&property.property_id) } else { None }
    }

    /// Counts hits of a limited property, if as many may be taken. `over` is what apis have counted of it.
    pub(crate) fn take(
        &self,
        (id, property): (Id, &Property),
        over: Option<OverQuota>,
        hits: u64,
        at: At,
    ) -> Result<Counted, Refusal> {
        let date = local_date(at.now_ms, property.zone());
        let quota = property.quota;
        if over.is_some_and(|over| over.holds(quota, date)) {
            return Err(over_quota(property, (quota.daily_hits, hits), at.now_ms));
        }
        let per_second =
            if quota.hits_per_second == 0 { self.usual_per_second } else { quota.hits_per_second };
        let rate = Rate::new(per_second, BURST);
        let counted = Counted { id, date, hits };
        let mut shard = self.shard(&id);
        let Some(count) = shard.place(id, self.shard_limit, date, at.monotonic_ms) else {
            self.uncounted.inc_by(hits);
            return Ok(counted);
        };
        if count.date != date {
            (count.date, count.hits) = (date, 0);
        }
        count.is_daily = quota.daily_hits > 0;
        let after = count.hits.saturating_add(hits);
        if quota.daily_hits > 0 && after > quota.daily_hits {
            return Err(over_quota(property, (count.hits, hits), at.now_ms));
        }
        if let Some(rate) = rate {
            let taken = count.bucket.take(hits, rate, at.monotonic_ms);
            taken.map_err(|wait| rate_limited(property, rate, wait))?;
        }
        count.hits = after;
        Ok(counted)
    }

    /// These were not taken after all.
    pub(crate) fn give_back(&self, counted: &Counted) {
        let Counted { id, date, hits } = *counted;
        if let Some(count) = self.shard(&id).counts.get_mut(&id).filter(|count| count.date == date) {
            count.hits = count.hits.saturating_sub(hits);
        }
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, Shard> {
        let [.., last] = *id;
        let [first, others @ ..] = &self.shards;
        let shard = match usize::from(last) % SHARDS {
            0 => first,
            other => others.get(other - 1).unwrap_or(first),
        };
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// The count of a property; `None`: there is no room for it.
    fn place(&mut self, id: Id, limit: usize, date: i32, monotonic_ms: u64) -> Option<&mut Count> {
        let is_crowded = self.counts.len() >= limit && !self.counts.contains_key(&id);
        if is_crowded && monotonic_ms >= self.looked_at_ms.saturating_add(LOOK_EVERY_MS) {
            self.looked_at_ms = monotonic_ms;
            // Dates of all zones of one moment are at most two apart.
            self.counts.retain(|_, count| {
                (count.is_daily && count.date.abs_diff(date) <= 2) || !count.bucket.is_full(monotonic_ms)
            });
        }
        if is_crowded && self.counts.len() >= limit {
            return None;
        }
        Some(self.counts.entry(id).or_insert(Count { date, ..Count::default() }))
    }
}

fn over_quota(property: &Property, (had, hits): (u64, u64), now_ms: u64) -> Refusal {
    let daily_hits = property.quota.daily_hits;
    let left = daily_hits.saturating_sub(had);
    let message = match left {
        0 => format!(
            "the property has had the {daily_hits} hits of its quota for this day in {}; send it again after the time in Retry-After, or ask \
             the operator to raise daily_hits",
            property.time_zone()
        ),
        left => format!(
            "the property has {left} hits left of its quota of {daily_hits} for this day in {}, and these are {hits}; send fewer, or send \
             them again after the time in Retry-After, or ask the operator to raise daily_hits",
            property.time_zone()
        ),
    };
    let wait_s = next_midnight_ms(now_ms, property.zone()).saturating_sub(now_ms).div_ceil(1000);
    refusal(Code::OverQuota, property, message, wait_s)
}

fn rate_limited(property: &Property, rate: Rate, wait: Duration) -> Refusal {
    let per_second = rate.per_second();
    let message = format!(
        "this edge takes {per_second} hits of the property in a second; send them again after the time in Retry-After, or ask the operator \
         to raise hits_per_second"
    );
    let wait_s = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    refusal(Code::RateLimited, property, message, wait_s)
}

fn refusal(code: Code, property: &Property, message: String, wait_s: u64) -> Refusal {
    let wait_s = u32::try_from(wait_s.clamp(1, RETRY_MAX_S)).unwrap_or(u32::MAX);
    Refusal::field(code, "measurement_id", &property.measurement_id, message).again_after(wait_s)
}

#[cfg(test)]
mod tests;
