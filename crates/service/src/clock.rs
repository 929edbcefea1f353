//! Where time comes from: the one place that asks the operating system.
//!
//! Shells hold a [`SharedClock`] and pass plain milliseconds to the logic, so that tests and replays decide what time
//! it is. [`Clock::now_ms`] may jump (the operator or NTP sets it); [`Clock::monotonic_ms`] never goes back.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock shared by the parts of a service.
pub type SharedClock = Arc<dyn Clock>;

/// A source of time.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since 1970-01-01T00:00:00Z, as the wall clock has it; 0 for a clock set before that.
    fn now_ms(&self) -> u64;

    /// Milliseconds since some fixed moment of this process; never decreases.
    fn monotonic_ms(&self) -> u64;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The same, ready to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the place that the ban points to
    fn now_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until a test moves it. Clones share the time.
#[derive(Debug, Clone, Default)]
pub struct TestClock {
    inner: Arc<TestTime>,
}

#[derive(Debug, Default)]
struct TestTime {
    now_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl TestClock {
    /// A clock whose wall time is `now_ms` and whose monotonic time is 0.
    pub fn new(now_ms: u64) -> Self {
        let clock = Self::default();
        clock.set_now_ms(now_ms);
        clock
    }

    /// The same clock, ready to be shared.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    /// Sets the wall clock, forwards or backwards, as an operator would; monotonic time stays.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.inner.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Lets time pass on both clocks.
    pub fn advance_ms(&self, by_ms: u64) {
        self.inner.now_ms.fetch_add(by_ms, Ordering::SeqCst);
        self.inner.monotonic_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.inner.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.inner.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_clock_moves_only_when_told() {
        let clock = TestClock::new(1_000);
        let shared = clock.shared();
        assert_eq!((shared.now_ms(), shared.monotonic_ms()), (1_000, 0));
        clock.advance_ms(5);
        assert_eq!((shared.now_ms(), shared.monotonic_ms()), (1_005, 5));
        clock.set_now_ms(10);
        assert_eq!((shared.now_ms(), shared.monotonic_ms()), (10, 5));
    }

    #[test]
    fn system_clock_is_in_this_century_and_monotonic() {
        let clock = SystemClock::new();
        assert!(clock.now_ms() > 1_700_000_000_000);
        let first = clock.monotonic_ms();
        assert!(clock.monotonic_ms() >= first);
    }
}
