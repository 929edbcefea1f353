//! The pulse of an accept thread: by it connections notice that time goes by, and that they are to close.
//!
//! One timer for all connections of a thread, so that a request sets and clears none. In: beats, one each period, and what the
//! connection has done since. Out: whether it goes on, is closed (HTTP/1.1: after the request under way; HTTP/2: GOAWAY, RFC 9113
//! section 6.8), or is cut off. Invariant: a connection that brings no request ends, and so does one that is closing.

use std::time::Duration;

use tokio::sync::watch;

/// A shorter period would be a load of its own.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

/// Beats until a connection must have brought its first request: at least one whole period.
const FIRST_REQUEST_BEATS: u32 = 2;

/// Beats that a closing connection has left: one period for the head of the request under way, one for its body.
const CLOSING_BEATS: u32 = 2;

/// Gives the beats of a thread.
#[derive(Debug)]
pub(crate) struct Pulse {
    period: Duration,
    beats: watch::Sender<bool>,
}

/// Where a connection feels them; the value says whether the thread is closing.
pub(crate) type Beats = watch::Receiver<bool>;

impl Pulse {
    /// A pulse with the period `timeout`: what the head of a request, or its body, may take.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { period: timeout.max(SHORTEST_PERIOD), beats: watch::Sender::new(false) }
    }

    /// The beats for a new connection.
    pub(crate) fn beats(&self) -> Beats {
        self.beats.subscribe()
    }

    /// Beats for ever: the first time now, then once each period.
    pub(crate) async fn beat(&self, closing: bool) {
        let mut interval = tokio::time::interval(self.period);
        loop {
            interval.tick().await;
            self.beats.send_replace(closing);
        }
    }

    /// Waits until every connection has ended.
    pub(crate) async fn nobody_left(&self) {
        self.beats.closed().await;
    }

    /// How many beats a connection that had a request may then be without one, so that `idle` has passed.
    pub(crate) fn idle_beats(&self, idle: Duration) -> u32 {
        let periods = idle.as_millis().div_ceil(self.period.as_millis());
        u32::try_from(periods).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// What a connection does at a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Goes on as it is.
    Stay,
    /// Takes no further request.
    Close,
    /// Ends now.
    Drop,
}

/// A connection's age without a request.
#[derive(Debug)]
pub(crate) struct Life {
    idle_beats: u32,
    requests: u64,
    quiet_beats: u32,
    closing_beats: Option<u32>,
}

impl Life {
    /// A connection without a request so far; see [`Pulse::idle_beats`].
    pub(crate) fn new(idle_beats: u32) -> Self {
        Self { idle_beats, requests: 0, quiet_beats: 0, closing_beats: None }
    }

    /// `requests`: how many have begun since the connection was made.
    pub(crate) fn on_beat(&mut self, requests: u64, closing: bool) -> Act {
        if let Some(beats) = &mut self.closing_beats {
            *beats += 1;
            return if *beats >= CLOSING_BEATS { Act::Drop } else { Act::Stay };
        }
        self.quiet_beats = if requests == self.requests { self.quiet_beats + 1 } else { 0 };
        self.requests = requests;
        let allowed = if requests == 0 { FIRST_REQUEST_BEATS } else { self.idle_beats };
        if closing || self.quiet_beats >= allowed {
            self.closing_beats = Some(0);
            return Act::Close;
        }
        Act::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_lives_as_long_as_it_brings_requests_and_then_its_idle_time() {
        let mut life = Life::new(3);
        // (requests so far, closing, what is done)
        for (beat, (requests, closing, act)) in [
            (0, false, Act::Stay),
            (1, false, Act::Stay),
            (1, false, Act::Stay),
            (5, false, Act::Stay),
            (5, false, Act::Stay),
            (5, false, Act::Stay),
            (5, false, Act::Close),
            (6, false, Act::Stay),
            (6, false, Act::Drop),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(life.on_beat(requests, closing), act, "beat {beat}");
        }
    }

    #[test]
    fn a_connection_without_a_first_request_is_closed_at_the_second_beat() {
        let mut life = Life::new(100);
        assert_eq!([life.on_beat(0, false), life.on_beat(0, false)], [Act::Stay, Act::Close]);
    }

    #[test]
    fn a_busy_connection_is_closed_when_its_thread_closes_and_cut_off_two_periods_later() {
        let mut life = Life::new(100);
        let acts = [1, 2, 3].map(|requests| life.on_beat(requests, true));
        assert_eq!(acts, [Act::Close, Act::Stay, Act::Drop]);
    }

    #[test]
    fn the_idle_time_is_counted_in_whole_periods() {
        let pulse = Pulse::new(Duration::from_secs(10));
        for (idle_ms, beats) in [(1, 2), (10_000, 2), (10_001, 3), (60_000, 7)] {
            assert_eq!(pulse.idle_beats(Duration::from_millis(idle_ms)), beats, "{idle_ms} ms");
        }
    }
}
