//! Runs blocks through the processor as an edge does: seals, checkpoints, crashes, restores, replays.

use std::sync::Arc;

use hit::{Block, BlockBody, BlockHeader, BlockView, EdgeId, Epoch, Forget, ImportMark, RawHit, Refusals};
use processing::deduplicate::BYTES_PER_ID;
use processing::{Limits, Processor, Sealed};

use crate::oracle::Bounds;
use crate::world::{World, detection};

/// What happens after a block.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct After {
    pub(crate) seal: bool,
    /// With a seal: a whole checkpoint takes the place of the changes so far.
    pub(crate) checkpoint: bool,
    /// The process dies: what was not sealed is gone.
    pub(crate) crash: bool,
}

/// Hits, import marks, refusals and what is to be forgotten, received at a time.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) received_at_ms: u64,
    pub(crate) hits: Vec<RawHit>,
    pub(crate) marks: Vec<ImportMark>,
    pub(crate) refusals: Vec<Refusals>,
    pub(crate) forgets: Vec<Forget>,
    pub(crate) after: After,
}

/// The blocks of these steps.
pub(crate) fn blocks(steps: &[Step]) -> Vec<Block> {
    let mut from = 0;
    let numbered = steps.iter().enumerate().map(|(number, step)| {
        let hits = u32::try_from(step.hits.len()).unwrap();
        let header = BlockHeader { block: number as u64, from, hits, received_at_ms: step.received_at_ms };
        from = header.to();
        let Step { hits, marks, refusals, forgets, .. } = step.clone();
        Block { header, body: BlockBody { hits, import_marks: marks, refusals, forgets } }
    });
    numbered.collect()
}

pub(crate) fn limits(bounds: Bounds) -> Limits {
    Limits {
        id_window_bytes: bounds.ids as u64 * BYTES_PER_ID,
        max_open_sessions: bounds.sessions as u64,
        max_known_visitors: bounds.visitors as u64,
        max_pages_per_property_hour: bounds.pages_per_hour as u64,
        ..Limits::default()
    }
}

fn edge() -> EdgeId {
    "edge-1".parse().unwrap()
}

/// What an edge has on disk.
#[derive(Default)]
struct Stored {
    checkpoint: Option<Vec<u8>>,
    changes: Vec<Vec<u8>>,
}

/// The processor as it was stored; with nothing stored, a new one.
fn restore(world: &World, limits: &Limits, stored: &Stored) -> Processor {
    let rules = Arc::new(world.clone());
    let checkpoint = stored.checkpoint.as_deref();
    let (epoch, limits) = (Epoch([7; 16]), limits.clone());
    Processor::restore(edge(), epoch, detection(), rules, limits, checkpoint, &stored.changes).unwrap()
}

/// All that a run leaves.
pub(crate) struct Outcome {
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) processor: Processor,
}

/// Runs the steps, seals at the end too; `crashes` says whether processes die where a step says so.
pub(crate) fn run(world: &World, limits: &Limits, steps: &[Step], crashes: bool) -> Outcome {
    let blocks = blocks(steps);
    let mut stored = Stored::default();
    let mut processor = restore(world, limits, &stored);
    let mut sealed = Vec::new();
    for (step, block) in steps.iter().zip(&blocks) {
        processor.on_block(&BlockView::of(block)).unwrap();
        let totals = processor.totals();
        assert_eq!(totals.hits, totals.repeated + totals.counted() + totals.dropped_total());
        if step.after.seal {
            let seal = processor.seal().unwrap();
            stored.changes.push(seal.state_change.clone());
            sealed.push(seal);
            if step.after.checkpoint {
                stored.checkpoint = Some(processor.checkpoint().unwrap());
                stored.changes.clear();
            }
        }
        if crashes && step.after.crash {
            processor = restore(world, limits, &stored);
            let next = usize::try_from(processor.next_block()).unwrap();
            for block in &blocks[next..=usize::try_from(block.header.block).unwrap()] {
                processor.on_block(&BlockView::of(block)).unwrap();
            }
        }
    }
    sealed.push(processor.seal().unwrap());
    Outcome { sealed, processor }
}
