//! What a hit adds to custom metrics, by parameters whose worth was written by hand.

use hit::{ParamView, RawHit, Rules};

use super::Mistake;
use crate::world::PARAMS;

/// Millionths by slot.
pub(super) fn added(raw: &RawHit, rules: &Rules, mistake: Option<Mistake>) -> [u64; 5] {
    let errs = |mistake_here| mistake == Some(mistake_here);
    let mut added = [0; 5];
    if raw.event != "page_view" && errs(Mistake::OnlyPageViewsAddToMetrics) {
        return added;
    }
    for metric in &rules.events.custom_metrics {
        let slot = usize::from(metric.slot) - usize::from(!errs(Mistake::SlotsAreCountedFromZero));
        let of_name: Vec<_> = raw.params.iter().filter(|param| param.key == metric.parameter).collect();
        let found = if errs(Mistake::LastOfEqualParametersCounts) { of_name.last() } else { of_name.first() };
        let Some(found) = found.map(|param| ParamView::of(param)) else { continue };
        let worth = PARAMS.iter().find(|(key, value, _)| *key == found.key && Some(*value) == found.value);
        if let Some(sum) = added.get_mut(slot) {
            *sum += worth.unwrap().2;
        }
    }
    added
}
