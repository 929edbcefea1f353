//! Which batches go into the next segment, and when it is due: no I/O, time from outside.

/// Batches of the segment that is being filled. `T` is a batch with its right to be acknowledged.
#[derive(Debug)]
pub(super) struct Collector<T> {
    delay_ms: u64,
    limit_bytes: u64,
    batches: Vec<T>,
    bytes: u64,
    since_ms: u64,
}

impl<T> Collector<T> {
    /// Due `delay_ms` after the first batch, or with `limit_bytes` of payload.
    pub(super) fn new(delay_ms: u64, limit_bytes: u64) -> Self {
        Self { delay_ms, limit_bytes, batches: Vec::new(), bytes: 0, since_ms: 0 }
    }

    /// Adds a batch.
    pub(super) fn push(&mut self, batch: T, payload_bytes: u64, now_ms: u64) {
        if self.batches.is_empty() {
            self.since_ms = now_ms;
        }
        self.bytes += payload_bytes;
        self.batches.push(batch);
    }

    /// Whether a further batch belongs into the next segment.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.limit_bytes
    }

    /// When the first batch came.
    pub(super) fn since_ms(&self) -> Option<u64> {
        (!self.batches.is_empty()).then_some(self.since_ms)
    }

    /// When the segment is due; `None` while it is empty.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let delay_ms = if self.is_full() { 0 } else { self.delay_ms };
        self.since_ms().map(|since_ms| since_ms.saturating_add(delay_ms))
    }

    /// The batches of the segment, in order of arrival; the next segment begins empty.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_due_after_the_delay_or_when_full() {
        let mut collector = Collector::new(500, 100);
        assert_eq!((collector.due_ms(), collector.is_full()), (None, false));
        collector.push('a', 60, 1_000);
        collector.push('b', 39, 1_400);
        assert_eq!((collector.due_ms(), collector.is_full()), (Some(1_500), false));
        collector.push('c', 1, 1_450);
        assert_eq!((collector.due_ms(), collector.is_full()), (Some(1_000), true));
        assert_eq!(collector.take(), ['a', 'b', 'c']);
        assert_eq!((collector.due_ms(), collector.since_ms()), (None, None));
        collector.push('d', 0, 2_000);
        assert_eq!(collector.due_ms(), Some(2_500));
    }
}
