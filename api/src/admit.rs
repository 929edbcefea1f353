//! The global limit: so many requests at once over all connections and both protocols, the rest is shed at once.
//!
//! Shedding stands before everything else, so that an overloaded api still answers quickly. Health checks, reflection
//! and the admin port are not counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refuse::{Code, Refusal};

/// Places for requests in work.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    limit: usize,
}

impl Admission {
    /// `limit` places.
    pub fn new(limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Takes a place for as long as the result lives.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let limit = self.limit;
            Refusal::new(
                Code::Overloaded,
                format!("all {limit} places for requests are taken; repeat the request in a second"),
            )
        })
    }

    /// Requests in work, and the most there may be.
    pub fn load(&self) -> (u64, u64) {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        let free = u64::try_from(self.places.available_permits()).unwrap_or(0);
        (limit.saturating_sub(free), limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_shed_and_a_place_comes_back() {
        let admission = Admission::new(1);
        let place = admission.enter().unwrap();
        assert_eq!(admission.load(), (1, 1));
        assert_eq!(admission.enter().unwrap_err().code, Code::Overloaded);
        drop(place);
        assert!(admission.enter().is_ok());
    }
}
