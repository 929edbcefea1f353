//! What still holds some of what an erasure removes, and until when.
//!
//! In: the plans that carried it out, streams that are behind. Out: sentences and [`Hold`]s for people. What is named here is
//! not in reports: sketches of hours whose minutes are gone, segments, batches in quarantine, outboxes of edges.

use std::collections::BTreeSet;

use erasure::Hold;

use super::erasing::time;
use super::{LoadError, Loader};
use crate::erase::turn::Turn;

const RAW: &str = "segments/raw";
const ROLLUP: &str = "segments/rollup";

impl Loader {
    /// What segments are waited for.
    pub(super) fn segments_awaited(raw_until_ms: u64, rollup_until_ms: u64) -> Vec<String> {
        [(RAW, raw_until_ms), (ROLLUP, rollup_until_ms)]
            .map(|(folder, until_ms)| {
                format!("{folder}: the newest segment that may hold some of it goes after {}", time(until_ms))
            })
            .to_vec()
    }

    /// What holds some of it.
    pub(super) async fn holds(
        &self,
        plans: &[u64],
        behind: &BTreeSet<String>,
        turn: &Turn,
    ) -> Result<Vec<Hold>, LoadError> {
        let mut holds: Vec<Hold> = Vec::new();
        if let Turn::Segments { raw_until_ms, rollup_until_ms } = *turn {
            let what = "hits or rows as edges sent them; nothing reads them but this loader, and no report";
            for (folder, until_ms) in [(RAW, raw_until_ms), (ROLLUP, rollup_until_ms)] {
                let (store, until) = (folder.to_owned(), Some(time(until_ms)));
                holds.push(Hold { store, until, dates: None, what: what.to_owned() });
            }
        }
        for n in plans {
            for held in self.log.part(*n).await?.into_iter().flat_map(|part| part.held) {
                let dates = Some((held.from.civil(), held.to.civil()));
                if holds.iter().any(|hold| hold.store == held.table && hold.dates == dates) {
                    continue;
                }
                let what = "sets of visitors of hours whose minutes are gone may hold 64-bit hashes of the ids; they go with \
                            the retention of the property, or when its history is processed again";
                holds.push(Hold { store: held.table, until: None, dates, what: what.to_owned() });
            }
        }
        if plans.is_empty() {
            return Ok(holds);
        }
        let outbox = |stream: &String| {
            Hold {
            store: format!("outbox of {stream}"),
            until: None,
            dates: None,
            what: "the edge has not brought everything that it received before the request; what it brings is looked at again"
                .to_owned(),
        }
        };
        holds.extend(behind.iter().map(outbox));
        if self.retirer.has_quarantine().await? {
            holds.push(Hold {
                store: "quarantine".to_owned(),
                until: None,
                dates: None,
                what: "batches that cannot be used may hold some of it; they stay until someone deletes them"
                    .to_owned(),
            });
        }
        Ok(holds)
    }
}
