//! What a run measures: latencies by second, answers, the generator's own lateness and CPU time.
//!
//! Latency runs from the moment a request was due to the end of its answer. So a system that stands still is charged for
//! all that came due meanwhile, and a generator that is late charges itself. Times are microseconds.

use std::io::Write;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Digits that a histogram keeps.
const DIGITS: u8 = 3;

/// What happened within one second.
#[derive(Debug, Clone)]
pub struct Second {
    /// Latencies of requests answered with success in this second, microseconds.
    pub latency_us: Histogram<u64>,
    /// Hits in these requests.
    pub hits: u64,
    /// Requests refused with 429 or 503.
    pub refused: u64,
    /// Requests without an answer: broken connections and time-outs.
    pub unanswered: u64,
}

/// Measurements of one thread, or of all.
#[derive(Debug, Clone)]
pub struct Measured {
    /// By second since the beginning, by the time of the answer.
    pub seconds: Vec<Second>,
    /// How late requests were handed to a connection's queue, microseconds: the generator's own share of latency.
    pub late_us: Histogram<u64>,
    /// Requests that were due.
    pub due: u64,
    /// Requests not sent because too many waited.
    pub not_sent: u64,
    /// Requests sent again because they were refused or not answered.
    pub retried: u64,
    /// When the last answer came, since the beginning.
    pub last_answer: Duration,
}

/// An empty histogram of microseconds.
pub fn histogram() -> Histogram<u64> {
    // Only a number of digits above 5 could fail.
    Histogram::new(DIGITS).expect("3 digits are allowed")
}

impl Second {
    fn new() -> Self {
        Self { latency_us: histogram(), hits: 0, refused: 0, unanswered: 0 }
    }
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            seconds: Vec::new(),
            late_us: histogram(),
            due: 0,
            not_sent: 0,
            retried: 0,
            last_answer: Duration::ZERO,
        }
    }
}

impl Measured {
    /// The second of this time since the beginning.
    pub fn second(&mut self, since: Duration) -> &mut Second {
        let at = usize::try_from(since.as_secs()).unwrap_or(usize::MAX).min(1 << 20);
        while self.seconds.len() <= at {
            self.seconds.push(Second::new());
        }
        &mut self.seconds[at]
    }

    /// Adds the measurements of another thread.
    pub fn absorb(&mut self, other: &Self) {
        for (at, second) in (0_u64..).zip(&other.seconds) {
            let into = self.second(Duration::from_secs(at));
            // Histograms that resize themselves take every value of each other.
            let _never_fails = into.latency_us.add(&second.latency_us);
            into.hits += second.hits;
            into.refused += second.refused;
            into.unanswered += second.unanswered;
        }
        let _never_fails = self.late_us.add(&other.late_us);
        self.due += other.due;
        self.not_sent += other.not_sent;
        self.retried += other.retried;
        self.last_answer = self.last_answer.max(other.last_answer);
    }

    /// All seconds from `skip` on as one.
    pub fn total(&self, skip: usize) -> Second {
        let mut total = Second::new();
        for second in self.seconds.iter().skip(skip) {
            let _never_fails = total.latency_us.add(&second.latency_us);
            total.hits += second.hits;
            total.refused += second.refused;
            total.unanswered += second.unanswered;
        }
        total
    }
}

/// Writes one histogram per second in the log format of the HdrHistogram tools (version 1.3, microseconds).
///
/// # Errors
/// When the writer fails.
pub fn write_log(writer: &mut impl Write, measured: &Measured, started_at: SystemTime) -> anyhow::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latency of requests from when they were due to their answer, microseconds")
        .with_start_time(started_at)
        .with_base_time(started_at)
        .with_max_value_divisor(1_000.0)
        .begin_log_with(writer, &mut serializer)
        .context("cannot begin the histogram log")?;
    for (at, second) in (0_u64..).zip(&measured.seconds) {
        log.write_histogram(&second.latency_us, Duration::from_secs(at), Duration::from_secs(1), None)
            .map_err(|error| anyhow::anyhow!("cannot write the histogram log: {error:?}"))?;
    }
    Ok(())
}

/// CPU time of this process so far, user and system.
pub fn own_cpu() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
    })
}
