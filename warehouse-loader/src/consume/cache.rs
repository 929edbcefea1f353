//! Payloads of batches that wait, up to a number of bytes; one that does not fit is read again from the store.

use std::collections::BTreeMap;

use batch::SealedBatch;
use bytes::Bytes;

use crate::document::Stream;

/// The cache.
#[derive(Debug)]
pub struct BatchCache {
    limit_bytes: u64,
    bytes: u64,
    payloads: BTreeMap<(Stream, u64), Bytes>,
}

impl BatchCache {
    /// Empty. `limit_bytes`: of payloads.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, bytes: 0, payloads: BTreeMap::new() }
    }

    /// Keeps a copy of the payload, so that it does not hold the memory of its whole segment; not if it would not fit.
    pub fn put(&mut self, batch: &SealedBatch) {
        let header = batch.header();
        let key = (Stream { edge: header.id.edge.clone(), epoch: header.id.epoch }, header.id.seq);
        if self.bytes + header.payload_bytes > self.limit_bytes || self.payloads.contains_key(&key) {
            return;
        }
        self.bytes += header.payload_bytes;
        self.payloads.insert(key, Bytes::copy_from_slice(batch.payload()));
    }

    /// The payload, if it is here.
    pub fn get(&self, stream: &Stream, seq: u64) -> Option<Bytes> {
        self.payloads.get(&(stream.clone(), seq)).cloned()
    }

    /// Drops all that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Stream, u64) -> bool) {
        self.payloads.retain(|(stream, seq), _| keep(stream, *seq));
        self.bytes =
            self.payloads.values().map(|payload| u64::try_from(payload.len()).unwrap_or(u64::MAX)).sum();
    }

    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use batch::BatchId;
    use hit::Epoch;
    use proto::batch::Lane;

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_kept_and_room_comes_back() {
        let stream = Stream { edge: "e".parse().unwrap(), epoch: Epoch([0; 16]) };
        let batch = |seq| {
            let id = BatchId { edge: stream.edge.clone(), epoch: stream.epoch, lane: Lane::Rollup, seq };
            SealedBatch::seal(id, 0..0, 0, Bytes::from(vec![0; 60])).unwrap()
        };
        let mut cache = BatchCache::new(100);
        cache.put(&batch(1));
        cache.put(&batch(2));
        assert_eq!(
            (cache.get(&stream, 1).is_some(), cache.get(&stream, 2).is_some(), cache.bytes()),
            (true, false, 60)
        );
        cache.retain(|_, seq| seq > 1);
        cache.put(&batch(2));
        assert_eq!(
            (cache.get(&stream, 1).is_some(), cache.get(&stream, 2).is_some(), cache.bytes()),
            (false, true, 60)
        );
    }
}
