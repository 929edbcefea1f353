//! How often one may call: so many calls a second with a key, so many reports a second of a property.
//!
//! In: whose key it is, once it is known to be good, and the property of a report. Out: go on, or RESOURCE_EXHAUSTED with the time to wait.
//! Each api counts for itself, in bounded memory: keys that nobody has make no entry, and what finds no room shares one bucket. The admin key
//! is never limited: with it the operator must come through.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use property::KeyHash;
use service::SharedClock;
use service::bucket::{Buckets, Rate};

use crate::config::LimitsConfig;
use crate::refuse::{Code, Refusal};

/// How much of a rate may come at once: a dashboard that opens asks for a page of reports.
const BURST: Duration = Duration::from_secs(5);

/// Keys, and properties, that are counted at once; some 100 bytes each.
const COUNTED_MAX: usize = 100_000;

/// The limits; `None`: there is none.
#[derive(Debug)]
pub(crate) struct CallLimits {
    keys: Option<Mutex<Buckets<KeyHash>>>,
    properties: Option<Mutex<Buckets<String>>>,
    clock: SharedClock,
}

impl CallLimits {
    /// Those of the configuration.
    pub(crate) fn new(config: &LimitsConfig, clock: SharedClock) -> Self {
        Self { keys: buckets(config.calls_per_second), properties: buckets(config.reports_per_second), clock }
    }

    /// None at all.
    pub(crate) fn none(clock: SharedClock) -> Self {
        Self { keys: None, properties: None, clock }
    }

    /// A call with this key, which is somebody's.
    pub(crate) fn call(&self, key: KeyHash) -> Result<(), Refusal> {
        self.take(self.keys.as_ref(), key, "limits.calls_per_second", "calls with this key")
    }

    /// A report of this property, by somebody who may have it.
    pub(crate) fn report(&self, property_id: &str) -> Result<(), Refusal> {
        let of = "reports of this property";
        self.take(self.properties.as_ref(), property_id.to_owned(), "limits.reports_per_second", of)
    }

    fn take<K: Eq + Hash>(
        &self,
        buckets: Option<&Mutex<Buckets<K>>>,
        key: K,
        field: &str,
        what: &str,
    ) -> Result<(), Refusal> {
        let Some(buckets) = buckets else { return Ok(()) };
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // One at a rate of at least one a second: the wait is never longer than the second that a refusal names.
        buckets.take_one(key, self.clock.monotonic_ms()).map_err(|_wait| {
            let per_second = buckets.rate().per_second();
            let said = format!(
                "more than {per_second} {what} in a second; repeat the request in a second, ask for more in one request, or ask the operator \
                 to raise {field} of the api"
            );
            Refusal::new(Code::RateLimited, said)
        })
    }
}

fn buckets<K: Eq + Hash>(per_second: u32) -> Option<Mutex<Buckets<K>>> {
    Rate::new(per_second, BURST).map(|rate| Mutex::new(Buckets::new(rate, COUNTED_MAX)))
}

#[cfg(test)]
mod tests {
    use service::TestClock;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let clock = TestClock::new(0);
        let config = LimitsConfig { calls_per_second: 2, reports_per_second: 1, ..LimitsConfig::default() };
        let limits = CallLimits::new(&config, clock.shared());
        let [ada, bo] = ["mk_ada", "mk_bo"].map(KeyHash::of);
        let calls = |key, count: usize| (0..count).filter(|_| limits.call(key).is_ok()).count();
        assert_eq!((calls(ada, 20), calls(bo, 20)), (10, 10));
        let refusal = limits.call(ada).unwrap_err();
        assert_eq!(refusal.code, Code::RateLimited);
        assert!(refusal.message.starts_with("more than 2 calls with this key in a second"), "{refusal}");
        assert!(refusal.message.contains("limits.calls_per_second"), "{refusal}");
        let reports = |id: &str| (0..20).filter(|_| limits.report(id).is_ok()).count();
        assert_eq!((reports("p_a"), reports("p_b")), (5, 5));
        clock.advance_ms(1_500);
        assert_eq!((calls(ada, 20), reports("p_a")), (3, 1));
    }

    #[test]
    fn nothing_is_limited_where_nothing_is_said() {
        let config = LimitsConfig { calls_per_second: 0, reports_per_second: 0, ..LimitsConfig::default() };
        let clock = TestClock::new(0);
        for limits in [CallLimits::new(&config, clock.shared()), CallLimits::none(clock.shared())] {
            let key = KeyHash::of("mk_ada");
            assert!((0..100_000).all(|_| limits.call(key).is_ok() && limits.report("p_a").is_ok()));
        }
    }
}
