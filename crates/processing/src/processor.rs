//! All stages in order: the one place that names them.
//!
//! In: blocks without a gap. Out: sealed rows and changes of state. Between two seals nothing leaves, so a crash
//! loses only what the WAL still has: restore the state of the last seal, replay the blocks since, and the rows
//! are the same bytes.

use std::sync::Arc;

use batch::RollupRows;
use hit::{Block, EdgeId, Epoch, RulesSource};

use crate::enrich::user_agent::Detection;
use crate::limits::Limits;
use crate::state::StateError;
use crate::totals::{Gauges, Totals};

/// Why a block cannot be processed. Each stops the edge: going on would miscount.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A block is missing, or comes twice.
    #[error("the WAL has a gap: block {found} came where block {expected} was due")]
    BlockGap {
        /// Number that was due.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// Positions do not run on.
    #[error("the WAL has a gap: block {block} begins at position {found}, expected {expected}")]
    PositionGap {
        /// Number of the block.
        block: u64,
        /// Position that was due.
        expected: u64,
        /// Position in its header.
        found: u64,
    },
    /// Received time went back.
    #[error("block {block} was received at {found} ms, before the block ahead of it ({before} ms)")]
    TimeWentBack {
        /// Number of the block.
        block: u64,
        /// Received time of the block before.
        before: u64,
        /// Received time of the block.
        found: u64,
    },
    /// Header and body disagree.
    #[error("block {block} says {header} hits and holds {body}")]
    Count {
        /// Number of the block.
        block: u64,
        /// Hits by the header.
        header: u32,
        /// Hits in the body.
        body: usize,
    },
}

/// What leaves at a seal; to be written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Rows of both tables, normalized.
    pub rows: RollupRows,
    /// First position the rows were made from.
    pub from: u64,
    /// First position after them.
    pub to: u64,
    /// Number of the last block processed since the epoch began; `None` when there was none yet.
    pub last_block: Option<u64>,
    /// Every hit received before this time (unix ms) is in this batch or an earlier one.
    pub complete_until_ms: u64,
    /// Change of state since the seal before; [`Processor::restore`] takes these in order.
    pub state_change: Vec<u8>,
}

/// The processing of one edge and epoch.
pub struct Processor {}

impl Processor {
    /// Begins an epoch: the first block is number 0 at position 0.
    pub fn new(
        edge: EdgeId,
        epoch: Epoch,
        detection: Arc<Detection>,
        rules: Arc<dyn RulesSource>,
        limits: Limits,
    ) -> Self {
        unimplemented!()
    }

    /// The processor as it was at the last seal: a checkpoint (none: the epoch's beginning) and the changes of the
    /// seals after it, in order.
    ///
    /// # Errors
    /// When bytes are damaged, of another edge or epoch, or do not follow each other.
    pub fn restore(
        edge: EdgeId,
        epoch: Epoch,
        detection: Arc<Detection>,
        rules: Arc<dyn RulesSource>,
        limits: Limits,
        checkpoint: Option<&[u8]>,
        changes: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, StateError> {
        unimplemented!()
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// When the block does not follow the one before; the processor is unchanged then.
    pub fn on_block(&mut self, block: &Block) -> Result<(), ProcessError> {
        unimplemented!()
    }

    /// Rows that a seal would give, both tables together.
    pub fn rows(&self) -> u64 {
        unimplemented!()
    }

    /// Whether `max_rows_per_batch` is reached.
    pub fn should_seal(&self) -> bool {
        unimplemented!()
    }

    /// Takes the rows since the last seal, with the change of state that belongs to them.
    ///
    /// # Errors
    /// When the state cannot be encoded; the processor is not to be used any further then.
    pub fn seal(&mut self) -> Result<Sealed, StateError> {
        unimplemented!()
    }

    /// The whole state, to be called right after [`Processor::seal`] and stored with it.
    ///
    /// # Errors
    /// [`StateError::NotSealed`] when blocks were processed since the last seal; or when encoding fails.
    pub fn checkpoint(&self) -> Result<Vec<u8>, StateError> {
        unimplemented!()
    }

    /// Number of the block that is due next: where to read on in the WAL.
    pub fn next_block(&self) -> u64 {
        unimplemented!()
    }

    /// Position of the hit that is due next.
    pub fn next_position(&self) -> u64 {
        unimplemented!()
    }

    /// What became of all hits since the epoch began, as of the last block processed.
    pub fn totals(&self) -> &Totals {
        unimplemented!()
    }

    /// How full the state is, as of the last block processed.
    pub fn gauges(&self) -> Gauges {
        unimplemented!()
    }
}
