//! Token buckets: so many a second, some seconds' worth at once.
//!
//! In: what is asked for, and the time. Out: yes, or how long to wait. The form is the generic cell rate algorithm (ITU-T I.371): a bucket is
//! one number, the time at which it will be full again. [`Buckets`] keeps one for each key, in bounded memory. Nothing here has a clock.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

/// Least time between two looks for buckets that nobody needs any more, milliseconds: a look goes over all of them.
const LOOK_EVERY_MS: u64 = 1_000;

const NS_PER_MS: u64 = 1_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU32,
    burst: Duration,
}

impl Rate {
    /// So many a second, `burst` of it at once; `None`: no limit, for a rate of 0.
    pub fn new(per_second: u32, burst: Duration) -> Option<Self> {
        NonZeroU32::new(per_second).map(|per_second| Self { per_second, burst })
    }

    /// In a second.
    pub fn per_second(self) -> u32 {
        self.per_second.get()
    }

    fn burst_ns(self) -> u64 {
        u64::try_from(self.burst.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What it takes to fill in so many.
    fn cost_ns(self, count: u64) -> u64 {
        count.saturating_mul(1_000_000_000) / u64::from(self.per_second.get())
    }
}

/// One bucket; full when it is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Monotonic time.
    full_at_ns: u64,
}

impl Bucket {
    /// Takes so many out, or says how long to wait. What is more than a bucket holds is taken from a full one and paid off afterwards, so
    /// that nothing waits for ever.
    ///
    /// # Errors
    /// How long to wait; nothing was taken.
    pub fn take(&mut self, count: u64, rate: Rate, monotonic_ms: u64) -> Result<(), Duration> {
        let now_ns = monotonic_ms.saturating_mul(NS_PER_MS);
        let (cost_ns, burst_ns) = (rate.cost_ns(count), rate.burst_ns());
        let full_at_ns = self.full_at_ns.max(now_ns);
        let needed_ns = (full_at_ns - now_ns).saturating_add(cost_ns.min(burst_ns));
        match needed_ns.checked_sub(burst_ns) {
            None | Some(0) => {
                self.full_at_ns = full_at_ns.saturating_add(cost_ns);
                Ok(())
            }
            Some(wait_ns) => Err(Duration::from_nanos(wait_ns)),
        }
    }

    /// Whether it is as good as a new one.
    pub fn is_full(&self, monotonic_ms: u64) -> bool {
        self.full_at_ns <= monotonic_ms.saturating_mul(NS_PER_MS)
    }
}

/// A bucket for each key that took something lately.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    limit: usize,
    known: HashMap<K, Bucket>,
    /// Of all keys that found no room: they share it.
    others: Bucket,
    looked_at_ms: u64,
}

impl<K: Eq + Hash> Buckets<K> {
    /// At most `limit` of them.
    pub fn new(rate: Rate, limit: usize) -> Self {
        Self { rate, limit, known: HashMap::new(), others: Bucket::default(), looked_at_ms: 0 }
    }

    /// How fast they fill.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one out of a key's bucket, or says how long to wait.
    ///
    /// # Errors
    /// How long to wait; nothing was taken.
    pub fn take_one(&mut self, key: K, monotonic_ms: u64) -> Result<(), Duration> {
        if let Some(bucket) = self.known.get_mut(&key) {
            return bucket.take(1, self.rate, monotonic_ms);
        }
        if self.known.len() >= self.limit && monotonic_ms >= self.looked_at_ms.saturating_add(LOOK_EVERY_MS) {
            self.looked_at_ms = monotonic_ms;
            self.known.retain(|_, bucket| !bucket.is_full(monotonic_ms));
        }
        if self.known.len() >= self.limit {
            return self.others.take(1, self.rate, monotonic_ms);
        }
        self.known.entry(key).or_default().take(1, self.rate, monotonic_ms)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst_s: u64) -> Rate {
        Rate::new(per_second, Duration::from_secs(burst_s)).unwrap()
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let (mut bucket, rate) = (Bucket::default(), rate(2, 5));
        // Ten at once, then one every half second.
        for (now_ms, count, expected) in [
            (1_000, 10, Ok(())),
            (1_000, 1, Err(500)),
            (1_250, 1, Err(250)),
            (1_500, 1, Ok(())),
            (1_500, 1, Err(500)),
            // Three seconds: six.
            (4_500, 7, Err(500)),
            (4_500, 6, Ok(())),
            (4_500, 1, Err(500)),
            // Full, and not more than full.
            (60_000, 10, Ok(())),
            (60_000, 1, Err(500)),
        ] {
            let taken = bucket.take(count, rate, now_ms).map_err(|wait| wait.as_millis());
            assert_eq!(taken, expected, "{count} at {now_ms}");
        }
    }

    #[test]
    fn more_than_a_bucket_holds_is_paid_off_afterwards() {
        let (mut bucket, rate) = (Bucket::default(), rate(10, 2));
        assert_eq!(bucket.take(100, rate, 0), Ok(()));
        // 100 at 10 a second: it is full after 10 s, and has one after 8.1 s.
        assert_eq!(bucket.take(1, rate, 0), Err(Duration::from_millis(8_100)));
        assert!(!bucket.is_full(9_999) && bucket.is_full(10_000));
        assert_eq!(bucket.take(1, rate, 8_100), Ok(()));
        assert_eq!(bucket.take(u64::MAX, rate, 8_100), Err(Duration::from_millis(2_000)));
    }

    #[test]
    fn keys_have_buckets_of_their_own_until_there_is_no_room() {
        let mut buckets = Buckets::new(rate(1, 1), 2);
        let second = Err(Duration::from_secs(1));
        assert_eq!(["a", "b", "a"].map(|key| buckets.take_one(key, 1_000)), [Ok(()), Ok(()), second]);
        // No room: c and d share one.
        assert_eq!(["c", "d"].map(|key| buckets.take_one(key, 1_000)), [Ok(()), second]);
        assert_eq!(buckets.len(), 2);
        // Those that are full again make room.
        assert_eq!(["c", "d", "c"].map(|key| buckets.take_one(key, 2_000)), [Ok(()), Ok(()), second]);
        assert_eq!(buckets.len(), 2);
    }
}
