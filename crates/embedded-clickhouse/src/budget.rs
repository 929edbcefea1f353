//! The memory that bodies and results may take while they wait for the network or a thread.
//!
//! In: lengths; out: [`Share`]s that give their bytes back when dropped. Invariant: the shares of all requests together never
//! exceed `max_buffered_bytes`; who comes when it is used up is refused, nobody waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::EngineError;

/// The bytes that are left.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    max_bytes: u64,
}

/// Some bytes of the budget.
#[derive(Debug)]
pub(crate) struct Share(Vec<OwnedSemaphorePermit>);

impl Budget {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let permits = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), max_bytes }
    }

    /// A share of nothing, to grow.
    pub(crate) fn empty(&self) -> Share {
        Share(Vec::new())
    }

    /// Adds `bytes` to a share.
    pub(crate) fn grow(&self, share: &mut Share, bytes: usize) -> Result<(), EngineError> {
        let used_up = || {
            EngineError::overloaded(&format!(
                "Bodies and results already take max_buffered_bytes = {}: try again later, or raise it",
                self.max_bytes
            ))
        };
        let permits = u32::try_from(bytes).map_err(|_| used_up())?;
        let permit = self.free.clone().try_acquire_many_owned(permits).map_err(|_| used_up())?;
        match share.0.first_mut() {
            // Both are of the same semaphore, as a share never meets another budget.
            Some(first) => first.merge(permit),
            None => share.0.push(permit),
        }
        Ok(())
    }

    /// Ties a result to its share: the bytes come back when the last of it is sent.
    pub(crate) fn hold(&self, result: Vec<u8>) -> Result<Bytes, EngineError> {
        let mut share = self.empty();
        self.grow(&mut share, result.len())?;
        Ok(Bytes::from_owner(Held { result, _share: share }))
    }
}

struct Held {
    result: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_when_their_holder_goes() {
        let budget = Budget::new(10);
        let mut share = budget.empty();
        budget.grow(&mut share, 4).unwrap();
        budget.grow(&mut share, 3).unwrap();
        let refused = budget.hold(vec![0; 4]).unwrap_err();
        assert_eq!(refused.code, 745);
        let held = budget.hold(vec![1, 2, 3]).unwrap();
        assert_eq!(held.as_ref(), [1, 2, 3]);
        let part = held.slice(1..);
        drop((share, held));
        assert!(budget.hold(vec![0; 8]).is_err());
        drop(part);
        assert_eq!(budget.hold(vec![0; 10]).unwrap().len(), 10);
    }
}
