//! Which pipeline a property's hits go to: what an accept thread sees of the regions that the edge serves.
//!
//! In: the hits of a request, each property's in the body of its region's pipeline. Out: their commits, answered together. Invariant:
//! nothing of a property goes into another region's pipeline; where its own is not served, no pipeline gets anything of it, counts
//! of what was refused included, and only the edge's own metric tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use service::SharedClock;

use super::refused::RefusedHits;
use super::{Answers, CommitRefused, Intake};

/// How often hits of a region that is not served are an ERROR in the log, milliseconds.
const TELL_EVERY_MS: u64 = 60_000;

/// An accept thread's end of one pipeline.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Name of the region.
    pub(crate) region: String,
    /// The way to the committer.
    pub(crate) intake: Intake,
    /// What is not taken, on the same way.
    pub(crate) refused: Arc<RefusedHits>,
    /// The way back.
    pub(crate) answers: Answers,
}

/// One pipeline among those of the edge; 0 is the home region's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PipelineIndex(usize);

/// Hits of a request for one pipeline, encoded.
#[derive(Debug)]
pub(crate) struct Body {
    pipeline: PipelineIndex,
    /// Fields of a `BlockBody`.
    pub(crate) bytes: Vec<u8>,
    /// Hits in `bytes`.
    pub(crate) hits: u32,
}

impl Body {
    /// Nothing yet, with room for so many bytes.
    pub(crate) fn with_capacity(pipeline: PipelineIndex, bytes: usize) -> Self {
        Self { pipeline, bytes: Vec::with_capacity(bytes), hits: 0 }
    }

    /// Where it goes.
    pub(crate) fn pipeline(&self) -> PipelineIndex {
        self.pipeline
    }
}

#[derive(Debug)]
struct Way {
    region: String,
    intake: Intake,
    refused: Arc<RefusedHits>,
}

/// All ways of an accept thread.
#[derive(Debug)]
pub(crate) struct Regions {
    /// The home region's first.
    ways: Vec<Way>,
    misdirected: Arc<Misdirected>,
}

impl Regions {
    /// The ways through these entrances, the home region's first, and where their answers come.
    pub(crate) fn new(entrances: Vec<Entrance>, misdirected: Arc<Misdirected>) -> (Self, Vec<Answers>) {
        let mut answers = Vec::with_capacity(entrances.len());
        let mut ways = Vec::with_capacity(entrances.len());
        for Entrance { region, intake, refused, answers: back } in entrances {
            ways.push(Way { region, intake, refused });
            answers.push(back);
        }
        (Self { ways, misdirected }, answers)
    }

    /// The pipeline of a property with this `data_region`; `None`: this edge serves no such region.
    pub(crate) fn of(&self, data_region: &str) -> Option<PipelineIndex> {
        if data_region.is_empty() {
            return Some(PipelineIndex(0));
        }
        self.ways.iter().position(|way| way.region == data_region).map(PipelineIndex)
    }

    /// What this edge serves, for people.
    pub(crate) fn served(&self) -> String {
        let names: Vec<&str> =
            self.ways.iter().map(|way| way.region.as_str()).filter(|name| !name.is_empty()).collect();
        if names.is_empty() { "no region by name".to_owned() } else { names.join(", ") }
    }

    /// Queues all bodies and waits until each is committed.
    ///
    /// Each pipeline commits for itself. So when one of several does not, the others have committed all the same, and whoever is told
    /// so sends everything again: of that, hits with an id are recognised by the pipeline that has them, and those without one are
    /// counted twice. It takes a request that mixes regions and a pipeline that fails between this look at its gate and its commit;
    /// one that is known not to take hits refuses before anything is queued.
    pub(crate) async fn commit(&self, bodies: Vec<Body>) -> Result<(), CommitRefused> {
        let way = |body: &Body| self.ways.get(body.pipeline.0).ok_or(CommitRefused::Unavailable);
        if bodies.len() > 1 {
            bodies.iter().try_for_each(|body| way(body)?.intake.gate.check())?;
        }
        let mut waiting = Vec::with_capacity(bodies.len());
        for body in bodies {
            waiting.push(way(&body)?.intake.submit(body.bytes, body.hits)?);
        }
        for answer in waiting {
            answer.await.unwrap_or(Err(CommitRefused::Unavailable))?;
        }
        Ok(())
    }

    /// Counts hits of a property that are not taken: in the pipeline of its region, or not at all.
    pub(crate) fn refuse(&self, refused: Refused<'_>, hits: u64, clock: &SharedClock) {
        let Refused { property_id, data_region, rules_version, reason } = refused;
        match self.of(data_region).and_then(|pipeline| self.ways.get(pipeline.0)) {
            Some(way) => way.refused.add(property_id, rules_version, reason, hits),
            None => self.misdirected.count(property_id, data_region, hits, clock),
        }
    }
}

/// Whose hits are refused, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused<'a> {
    /// The property.
    pub(crate) property_id: &'a str,
    /// Its region.
    pub(crate) data_region: &'a str,
    /// Version of its rules in force.
    pub(crate) rules_version: u32,
    /// Why.
    pub(crate) reason: &'static str,
}

/// Hits that came to an edge which does not serve the region of their property.
#[derive(Debug, Default)]
pub(crate) struct Misdirected {
    hits: Counter,
    /// Monotonic time from which on it is told again.
    quiet_until_ms: AtomicU64,
}

impl Misdirected {
    /// They are counted there.
    pub(crate) fn new(hits: Counter) -> Self {
        Self { hits, quiet_until_ms: AtomicU64::new(0) }
    }

    fn count(&self, property_id: &str, data_region: &str, hits: u64, clock: &SharedClock) {
        self.hits.inc_by(hits);
        let now_ms = clock.monotonic_ms();
        let told = self.quiet_until_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until_ms| {
            (now_ms >= until_ms).then(|| now_ms.saturating_add(TELL_EVERY_MS))
        });
        if told.is_ok() {
            tracing::error!(
                property_id,
                data_region,
                "hits are refused: this edge serves no such data region; send them to one that does, or name its hubs in \
                 [regions.{data_region}]; further ones are only counted for a minute"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use service::TestClock;

    use super::super::{Gate, IntakeReceiver, intake};
    use super::*;

    struct Bench {
        regions: Regions,
        gates: Vec<Arc<Gate>>,
        receivers: Vec<IntakeReceiver>,
        hits: Counter,
    }

    fn bench(names: &[&str]) -> Bench {
        let (mut gates, mut receivers, mut entrances) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let gate = Arc::new(Gate::default());
            let (mut ends, receiver) = intake(1, 2, 1 << 20, &gate);
            let (intake, answers) = ends.remove(0);
            let refused = Arc::new(RefusedHits::new(10, Counter::default()));
            entrances.push(Entrance { region: (*name).to_owned(), intake, refused, answers });
            gates.push(gate);
            receivers.push(receiver);
        }
        let hits = Counter::default();
        let (regions, _answers) = Regions::new(entrances, Arc::new(Misdirected::new(hits.clone())));
        Bench { regions, gates, receivers, hits }
    }

    #[test]
    fn a_property_belongs_to_the_pipeline_of_its_region_or_to_none() {
        let Bench { regions, .. } = bench(&["us", "eu"]);
        for (data_region, expected) in [
            ("", Some(PipelineIndex(0))),
            ("us", Some(PipelineIndex(0))),
            ("eu", Some(PipelineIndex(1))),
            ("asia", None),
        ] {
            assert_eq!(regions.of(data_region), expected, "{data_region}");
        }
        // An edge that has no name for its home serves nobody who names one.
        assert_eq!(bench(&[""]).regions.of("eu"), None);
    }

    #[test]
    fn refused_hits_are_counted_in_their_own_region_or_nowhere() {
        let Bench { regions, hits, .. } = bench(&["us", "eu"]);
        let clock = TestClock::new(0).shared();
        let refused =
            |data_region| Refused { property_id: "p_a", data_region, rules_version: 1, reason: "too_old" };
        let waiting = || regions.ways.iter().map(|way| way.refused.are_waiting()).collect::<Vec<_>>();
        regions.refuse(refused("asia"), 3, &clock);
        assert_eq!((waiting(), hits.get()), (vec![false, false], 3));
        regions.refuse(refused("eu"), 3, &clock);
        assert_eq!((waiting(), hits.get()), (vec![false, true], 3));
    }

    #[tokio::test]
    async fn nothing_is_queued_when_one_of_the_pipelines_takes_no_hits() {
        let Bench { regions, gates, receivers, .. } = bench(&["us", "eu"]);
        let bodies = || {
            let body = |pipeline| Body {
                hits: 1,
                bytes: vec![0],
                ..Body::with_capacity(PipelineIndex(pipeline), 1)
            };
            vec![body(0), body(1)]
        };
        gates[1].set(Err(CommitRefused::Full));
        assert_eq!(regions.commit(bodies()).await, Err(CommitRefused::Full));
        assert_eq!(receivers[0].level().submissions(), 0);
    }
}
