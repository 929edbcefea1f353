//! Pauses between attempts: doubling up to a limit, half of each at random, so that edges do not come back in step.

use std::time::Duration;

/// The pauses of one series of failures.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    next_ms: u64,
}

impl Backoff {
    /// From `min_ms` to `max_ms`.
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        Self { min_ms, max_ms, next_ms: min_ms }
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.next_ms = self.min_ms;
    }

    /// The next pause; `random` lies in `0..1`.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let full = Duration::from_millis(self.next_ms);
        self.next_ms = self.next_ms.saturating_mul(2).min(self.max_ms);
        full / 2 + full.mul_f64(random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_limit_and_half_is_random() {
        let mut backoff = Backoff::new(100, 350);
        let millis = |pause: Duration| u64::try_from(pause.as_millis()).unwrap();
        assert_eq!(millis(backoff.next(0.0)), 50);
        assert_eq!(millis(backoff.next(1.0)), 200);
        assert_eq!(millis(backoff.next(1.0)), 350);
        assert_eq!(millis(backoff.next(0.5)), 262);
        backoff.reset();
        assert_eq!(millis(backoff.next(1.0)), 100);
    }
}
