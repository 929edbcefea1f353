//! Which batches lie in which segments, ahead of the watermarks.
//!
//! In: listings, headers of the segments that were read, watermarks. Out: the next batch of a stream, segments to read,
//! segments that are loaded as a whole. Bounded: each stream keeps `window` batches ahead of its watermark; segments with
//! later ones are read again when half the window is used up.
//!
//! Two batches of one id with different bytes come from two data directories of one epoch: a copy, or a backup that was put
//! back. The first one stays, every other is told, also when the first is loaded by then.

use std::collections::{BTreeMap, BTreeSet};

use batch::{BatchHeader, segment};
use proto::batch::Lane;

use crate::document::{Mark, Stream};

/// Copies of a batch that are remembered; a hub that never got our ack may have stored it again.
const MAX_COPIES: usize = 4;
/// How often a damaged segment is read again, ms.
const DAMAGED_AGAIN_MS: u64 = 60_000;

/// A batch that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Identity, range and checksum.
    pub header: BatchHeader,
    /// Segments that hold it, the first found first.
    pub segments: Vec<String>,
}

/// Batches at and below the watermark that are remembered, for each stream.
const LOADED_REMEMBERED: u64 = 1_000;

#[derive(Debug, Default)]
struct StreamIndex {
    loaded: u64,
    /// Every hit received before this time (unix ms) lies in the batches up to `loaded`.
    loaded_until_ms: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// Batches at and below the watermark as they were first seen.
    seen: BTreeMap<u64, BatchHeader>,
}

impl StreamIndex {
    /// Whether a batch at or below the watermark is another than the one that is loaded.
    fn contradicts(&mut self, header: &BatchHeader) -> bool {
        match self.seen.get(&header.id.seq) {
            Some(seen) => seen != header,
            // What is loaded cannot know of a later time than the watermark.
            None if header.complete_until_ms > self.loaded_until_ms => true,
            None => {
                self.remember(header.clone());
                false
            }
        }
    }

    fn remember(&mut self, header: BatchHeader) {
        self.seen.insert(header.id.seq, header);
        self.seen = self.seen.split_off(&self.loaded.saturating_sub(LOADED_REMEMBERED));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Unread,
    /// Monotonic, of the last attempt.
    Damaged {
        read_at_ms: u64,
    },
    /// The last seq of each stream in it.
    Read(Vec<(Stream, u64)>),
}

#[derive(Debug)]
struct Segment {
    size_bytes: u64,
    content: Content,
}

/// What reading a segment brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadResult {
    /// Hits of batches that were not known.
    pub new_hits: u64,
    /// Batches of which another with the same id is known or loaded.
    pub conflicts: Vec<BatchHeader>,
}

/// What moving a watermark took out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Hits of batches that were waiting.
    pub hits: u64,
}

/// The index.
#[derive(Debug)]
pub struct Index {
    window: u64,
    streams: BTreeMap<Stream, StreamIndex>,
    segments: BTreeMap<String, Segment>,
    deferred: BTreeMap<String, Vec<(Stream, u64)>>,
    hits: u64,
}

impl Index {
    /// Knows nothing. `window`: batches kept of each stream.
    pub fn new(window: u64) -> Self {
        Self {
            window,
            streams: BTreeMap::new(),
            segments: BTreeMap::new(),
            deferred: BTreeMap::new(),
            hits: 0,
        }
    }

    /// Takes a whole listing: keys and sizes.
    pub fn on_listing(&mut self, listing: Vec<(String, u64)>) {
        let present: BTreeSet<&String> = listing.iter().map(|(key, _)| key).collect();
        let gone: Vec<String> = self.segments.keys().filter(|key| !present.contains(key)).cloned().collect();
        for key in gone {
            self.forget(&key);
        }
        for (key, size_bytes) in listing {
            self.segments.entry(key).or_insert(Segment { size_bytes, content: Content::Unread });
        }
    }

    /// A segment is gone.
    pub fn forget(&mut self, key: &str) {
        self.deferred.remove(key);
        let Some(Segment { content: Content::Read(tops), .. }) = self.segments.remove(key) else { return };
        for (stream, _) in tops {
            let Some(index) = self.streams.get_mut(&stream) else { continue };
            let hits = &mut self.hits;
            index.waiting.retain(|_, waiting| {
                waiting.segments.retain(|segment| segment != key);
                if waiting.segments.is_empty() {
                    *hits = hits.saturating_sub(waiting.header.hits());
                }
                !waiting.segments.is_empty()
            });
        }
    }

    /// Segments to read, the oldest first; damaged ones once a minute. `now_ms` is monotonic.
    pub fn unread(&self, now_ms: u64) -> Vec<String> {
        let is_due = |segment: &Segment| match segment.content {
            Content::Unread => true,
            Content::Damaged { read_at_ms } => now_ms.saturating_sub(read_at_ms) >= DAMAGED_AGAIN_MS,
            Content::Read(_) => false,
        };
        self.segments.iter().filter(|(_, segment)| is_due(segment)).map(|(key, _)| key.clone()).collect()
    }

    /// A segment cannot be read. Whether that is new.
    pub fn on_damaged(&mut self, key: &str, now_ms: u64) -> bool {
        let Some(segment) = self.segments.get_mut(key) else { return false };
        let before = std::mem::replace(&mut segment.content, Content::Damaged { read_at_ms: now_ms });
        !matches!(before, Content::Damaged { .. })
    }

    /// Streams whose next batch is not known while later ones are, and its seq.
    pub fn stalled(&self) -> Vec<(Stream, u64)> {
        let deferred: BTreeSet<&Stream> =
            self.deferred.values().flatten().map(|(stream, _)| stream).collect();
        let missing = |(stream, index): (&Stream, &StreamIndex)| {
            let next = index.loaded + 1;
            let later = !index.waiting.is_empty() || deferred.contains(stream);
            (later && !index.waiting.contains_key(&next)).then(|| (stream.clone(), next))
        };
        self.streams.iter().filter_map(missing).collect()
    }

    /// A segment was read.
    pub fn on_read(&mut self, key: &str, headers: &[BatchHeader]) -> ReadResult {
        let mut result = ReadResult::default();
        let mut tops: BTreeMap<Stream, u64> = BTreeMap::new();
        let mut later: Vec<(Stream, u64)> = Vec::new();
        for header in headers.iter().filter(|header| header.id.lane == Lane::Rollup) {
            let stream = Stream { edge: header.id.edge.clone(), epoch: header.id.epoch };
            let top = tops.entry(stream.clone()).or_default();
            *top = header.id.seq.max(*top);
            let index = self.streams.entry(stream.clone()).or_default();
            if header.id.seq <= index.loaded {
                if index.contradicts(header) {
                    result.conflicts.push(header.clone());
                }
                continue;
            }
            if header.id.seq - index.loaded > self.window {
                later.push((stream, header.id.seq));
                continue;
            }
            match index.waiting.get_mut(&header.id.seq) {
                None => {
                    result.new_hits += header.hits();
                    self.hits += header.hits();
                    let waiting = Waiting { header: header.clone(), segments: vec![key.to_owned()] };
                    index.waiting.insert(header.id.seq, waiting);
                }
                Some(known) if known.header != *header => result.conflicts.push(header.clone()),
                Some(known) => {
                    if known.segments.len() < MAX_COPIES
                        && known.segments.iter().all(|segment| segment != key)
                    {
                        known.segments.push(key.to_owned());
                    }
                }
            }
        }
        if !later.is_empty() {
            self.deferred.insert(key.to_owned(), later);
        }
        let content = Content::Read(tops.into_iter().collect());
        match self.segments.get_mut(key) {
            Some(segment) => segment.content = content,
            None => {
                self.segments.insert(key.to_owned(), Segment { size_bytes: 0, content });
            }
        }
        result
    }

    /// Moves the watermark of a stream to `seq`; `until_ms`: the `complete_until_ms` there.
    pub fn on_loaded(&mut self, stream: &Stream, seq: u64, until_ms: u64) -> Removed {
        let index = self.streams.entry(stream.clone()).or_default();
        index.loaded = seq.max(index.loaded);
        index.loaded_until_ms = until_ms.max(index.loaded_until_ms);
        let rest = index.waiting.split_off(&(index.loaded + 1));
        let loaded = std::mem::replace(&mut index.waiting, rest);
        let hits = loaded.values().map(|waiting| waiting.header.hits()).sum();
        for waiting in loaded.into_values() {
            index.remember(waiting.header);
        }
        self.hits = self.hits.saturating_sub(hits);
        self.read_deferred_again();
        Removed { hits }
    }

    /// Segments with batches that now lie within half the window are due again.
    fn read_deferred_again(&mut self) {
        let half = (self.window / 2).max(1);
        let near = |streams: &BTreeMap<Stream, StreamIndex>, later: &[(Stream, u64)]| {
            later.iter().any(|(stream, seq)| {
                let loaded = streams.get(stream).map_or(0, |index| index.loaded);
                seq.saturating_sub(loaded) <= half
            })
        };
        let due: Vec<String> = self
            .deferred
            .iter()
            .filter(|(_, later)| near(&self.streams, later))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            self.deferred.remove(&key);
            if let Some(segment) = self.segments.get_mut(&key) {
                segment.content = Content::Unread;
            }
        }
    }

    /// The batch `seq` of a stream, if it waits.
    pub fn waiting(&self, stream: &Stream, seq: u64) -> Option<&Waiting> {
        self.streams.get(stream)?.waiting.get(&seq)
    }

    /// Whether this very batch waits.
    pub fn is_waiting(&self, header: &BatchHeader) -> bool {
        let stream = Stream { edge: header.id.edge.clone(), epoch: header.id.epoch };
        self.waiting(&stream, header.id.seq).is_some_and(|waiting| waiting.header == *header)
    }

    /// Streams with batches that wait.
    pub fn streams(&self) -> Vec<Stream> {
        self.streams
            .iter()
            .filter(|(_, index)| !index.waiting.is_empty())
            .map(|(stream, _)| stream.clone())
            .collect()
    }

    /// Batches that wait.
    pub fn batches(&self) -> u64 {
        self.streams.values().map(|index| u64::try_from(index.waiting.len()).unwrap_or(u64::MAX)).sum()
    }

    /// Hits that wait.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// When the oldest segment with a batch that waits was created, unix milliseconds.
    pub fn oldest_ms(&self) -> Option<u64> {
        let waiting = self.streams.values().filter_map(|index| index.waiting.values().next());
        waiting.filter_map(|waiting| segment::created_at_ms(waiting.segments.first()?)).min()
    }

    /// Segments and their bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.segments.len(), self.segments.values().map(|segment| segment.size_bytes).sum())
    }

    /// Segments created before `before_ms` whose batches all lie at or below `marks`.
    pub fn retired(&self, marks: &BTreeMap<Stream, Mark>, before_ms: u64) -> Vec<String> {
        let loaded = |(stream, top): &(Stream, u64)| marks.get(stream).is_some_and(|mark| mark.seq >= *top);
        let is_retired = |key: &str, segment: &Segment| match &segment.content {
            Content::Read(tops) => {
                segment::created_at_ms(key).is_some_and(|created| created < before_ms)
                    && tops.iter().all(loaded)
            }
            Content::Unread | Content::Damaged { .. } => false,
        };
        self.segments
            .iter()
            .filter(|(key, segment)| is_retired(key, segment))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
