//! What `segment` tells `feed`: a segment that can be read now.

use batch::Lane;
use proto::feed::SegmentAnnounced;

/// A durable segment.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Of which lane.
    pub(crate) lane: Lane,
    /// For the loaders.
    pub(crate) announced: SegmentAnnounced,
}
