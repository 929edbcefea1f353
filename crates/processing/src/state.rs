//! Being written.
/// Why stored state cannot be used, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not state, or of a later version.
    #[error("stored state has format {0:?}, this build reads \"MP\" version 1")]
    Format(Vec<u8>),
    /// Cut or changed bytes.
    #[error("stored state is damaged: {0}")]
    Damaged(String),
    /// State of another edge or data directory.
    #[error("stored state belongs to edge {found}, this is {expected}; give each edge a data directory of its own")]
    OtherEdge {
        /// Edge and epoch of this process.
        expected: String,
        /// Edge and epoch in the bytes.
        found: String,
    },
    /// A change does not follow the state before it.
    #[error("a change of state begins at block {found}, expected block {expected}: one is missing or comes twice")]
    Gap {
        /// Block due after the state so far.
        expected: u64,
        /// Block at which the change begins.
        found: u64,
    },
    /// A checkpoint was asked for between two seals.
    #[error("a checkpoint must follow a seal: {0} blocks were processed since")]
    NotSealed(u64),
    /// Larger than 4 GiB.
    #[error("state of {0} bytes is more than 4 GiB; lower id_window_bytes")]
    TooLarge(usize),
    /// zstd failed.
    #[error("state cannot be compressed: {0}")]
    Compression(String),
}
