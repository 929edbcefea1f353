//! When requests are due: fixed before the first is sent, whatever the system answers.
//!
//! In: phases, spikes, a seed. Out: an ascending series of times since the beginning. Each of `shares` threads has a
//! series of its own with its share of the rate.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::scenario::{Arrivals, Load};

/// The times at which one thread's requests are due.
#[derive(Debug)]
pub struct Schedule {
    load: Load,
    hits_per_request: f64,
    shares: f64,
    random: SmallRng,
    /// Seconds since the beginning.
    at: f64,
    end: f64,
}

impl Schedule {
    /// The series of one of `shares` threads.
    pub fn new(load: &Load, hits_per_request: u32, shares: u32, seed: u64) -> Self {
        Self {
            end: load.phases.iter().map(|phase| phase.seconds).sum(),
            load: load.clone(),
            hits_per_request: hits_per_request.into(),
            shares: shares.into(),
            random: SmallRng::seed_from_u64(seed),
            at: 0.0,
        }
    }

    /// Hits per second that are due at this time, all threads together.
    fn rate(&self, at: f64) -> f64 {
        let mut end = 0.0;
        let phase = self.load.phases.iter().find(|phase| {
            end += phase.seconds;
            at < end
        });
        let rate = phase.or(self.load.phases.last()).map_or(1.0, |phase| phase.hits_per_second);
        match &self.load.spikes {
            Some(spikes) if at >= spikes.every_s && at % spikes.every_s < spikes.for_s => {
                rate * spikes.factor
            }
            _ => rate,
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let gap = self.hits_per_request * self.shares / self.rate(self.at);
        self.at += match self.load.arrivals {
            Arrivals::Even => gap,
            // Inverse of the exponential distribution; 1 − u is never 0.
            Arrivals::Poisson => -gap * (1.0 - self.random.random::<f64>()).ln(),
        };
        (self.at < self.end).then(|| Duration::from_secs_f64(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Phase, Spikes};

    fn due(load: &Load, from_s: f64, to_s: f64) -> usize {
        let all = Schedule::new(load, 10, 2, 7);
        all.filter(|at| at.as_secs_f64() >= from_s && at.as_secs_f64() < to_s).count()
    }

    #[test]
    fn steps_and_spikes_change_the_rate_of_each_share() {
        let phase = |hits_per_second| Phase { seconds: 10.0, hits_per_second };
        let mut load = Load {
            phases: vec![phase(2_000.0), phase(4_000.0)],
            spikes: Some(Spikes { every_s: 15.0, for_s: 1.0, factor: 5.0 }),
            arrivals: Arrivals::Even,
        };
        // 2,000 hits/s in requests of 10 by two threads: 100 requests/s each.
        assert_eq!(due(&load, 0.0, 10.0), 999);
        assert!((195..=205).contains(&due(&load, 11.0, 12.0)));
        assert!((990..=1010).contains(&due(&load, 15.0, 16.0)));
        load.arrivals = Arrivals::Poisson;
        assert!((900..=1100).contains(&due(&load, 0.0, 10.0)), "{}", due(&load, 0.0, 10.0));
    }
}
