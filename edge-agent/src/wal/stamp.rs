//! `received_at_ms` of blocks: never decreasing, also across restarts, and never from a clock that went back.
//!
//! In: wall and monotonic clock. Out: the stamp, or that the wall clock is not to be trusted. A wall clock that goes
//! back a little (NTP) yields the stamp before; one that goes back by more is waited for. A jump forward is believed:
//! a suspended machine makes one, and its monotonic clock stood still.

/// The clock went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockWentBack {
    /// By how much, milliseconds.
    pub(crate) by_ms: u64,
}

/// Makes stamps.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    last_ms: u64,
    tolerance_ms: u64,
    /// Wall and monotonic time when both were last believed.
    agreed: Option<(u64, u64)>,
}

impl Stamp {
    /// `last_ms`: stamp of the last block in the WAL.
    pub(crate) fn new(last_ms: u64, tolerance_ms: u64) -> Self {
        Self { last_ms, tolerance_ms, agreed: None }
    }

    /// The stamp of a block that is committed now.
    pub(crate) fn next(&mut self, wall_ms: u64, monotonic_ms: u64) -> Result<u64, ClockWentBack> {
        let expected = match self.agreed {
            Some((wall, monotonic)) => wall.saturating_add(monotonic_ms.saturating_sub(monotonic)),
            None => self.last_ms,
        }
        .max(self.last_ms);
        if wall_ms.saturating_add(self.tolerance_ms) < expected {
            return Err(ClockWentBack { by_ms: expected - wall_ms });
        }
        self.agreed = Some((wall_ms, monotonic_ms));
        self.last_ms = self.last_ms.max(wall_ms);
        Ok(self.last_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_decrease_and_small_steps_back_are_held() {
        let mut stamp = Stamp::new(1_000, 50);
        assert_eq!(stamp.next(990, 0), Ok(1_000));
        assert_eq!(stamp.next(1_010, 20), Ok(1_010));
        assert_eq!(stamp.next(1_005, 30), Ok(1_010));
        assert_eq!(stamp.next(1_020, 40), Ok(1_020));
    }

    #[test]
    fn a_clock_that_went_back_is_refused_until_it_agrees() {
        let mut stamp = Stamp::new(0, 50);
        assert_eq!(stamp.next(10_000, 0), Ok(10_000));
        assert_eq!(stamp.next(5_000, 100), Err(ClockWentBack { by_ms: 5_100 }));
        assert_eq!(stamp.next(5_400, 500), Err(ClockWentBack { by_ms: 5_100 }));
        assert_eq!(stamp.next(10_600, 600), Ok(10_600));
        let mut restarted = Stamp::new(10_600, 50);
        assert_eq!(restarted.next(5_000, 0), Err(ClockWentBack { by_ms: 5_600 }));
    }

    #[test]
    fn a_jump_forward_is_believed() {
        let mut stamp = Stamp::new(0, 50);
        assert_eq!(stamp.next(1_000, 0), Ok(1_000));
        assert_eq!(stamp.next(900_000, 10), Ok(900_000));
        assert_eq!(stamp.next(900_010, 20), Ok(900_010));
    }
}
