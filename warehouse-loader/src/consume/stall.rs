//! Decides when a gap in a stream is told: someone must act if it lasts.
//!
//! In: the streams that miss a batch after each reading of the segments. Out: those to tell now, each once a minute and not
//! before it has lasted that long, because hubs store batches in any order. Bounded by the number of streams.

use std::collections::BTreeMap;

use crate::document::Stream;

/// How long a gap lasts before it is told, and told again, ms.
const TELL_MS: u64 = 60_000;

/// What is known of the gaps: the missing seq, and since when or when it was last told (monotonic ms).
#[derive(Debug, Default)]
pub struct StallWatch(BTreeMap<Stream, (u64, u64)>);

impl StallWatch {
    /// Takes all streams that miss a batch, with its seq.
    pub fn on_round(&mut self, stalled: Vec<(Stream, u64)>, now_ms: u64) -> Vec<(Stream, u64)> {
        let mut known = std::mem::take(&mut self.0);
        let mut told = Vec::new();
        for (stream, missing) in stalled {
            let mut since_ms = match known.remove(&stream) {
                Some((seq, since_ms)) if seq == missing => since_ms,
                _ => now_ms,
            };
            if now_ms.saturating_sub(since_ms) >= TELL_MS {
                since_ms = now_ms;
                told.push((stream.clone(), missing));
            }
            self.0.insert(stream, (missing, since_ms));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use hit::Epoch;

    use super::*;

    #[test]
    fn a_gap_is_told_once_a_minute_while_it_lasts() {
        let stream = Stream { edge: "edge-1".parse().unwrap(), epoch: Epoch([1; 16]) };
        let gap = |seq| vec![(stream.clone(), seq)];
        let mut watch = StallWatch::default();
        let table = [
            (0, gap(3), vec![]),
            (59_999, gap(3), vec![]),
            (60_000, gap(3), gap(3)),
            (60_001, gap(3), vec![]),
            (120_000, gap(3), gap(3)),
            (180_000, gap(4), vec![]),
            (239_999, vec![], vec![]),
            (240_000, gap(4), vec![]),
            (300_000, gap(4), gap(4)),
        ];
        for (now_ms, stalled, told) in table {
            assert_eq!(watch.on_round(stalled, now_ms), told, "at {now_ms}");
        }
    }
}
