//! What the rules say beside time-outs: where sessions are cut, and when they are engaged.

use batch::RowKey;

use super::{Counted, Mistake, Oracle};
use crate::world::{offset_s, page_of};

impl Oracle<'_> {
    /// The local date of a time, by the zone of the rules that a hit names.
    fn date(&self, hit: usize, ms: u64) -> i64 {
        let zone =
            if self.errs(Mistake::MidnightIsThatOfUtc) { "UTC" } else { &self.hits[hit].rules.time_zone };
        let unix_s = i64::try_from(ms / 1000).unwrap();
        (unix_s + i64::from(offset_s(zone, unix_s))).div_euclid(86_400)
    }

    fn midnight_cuts(&self, hit: usize) -> bool {
        let by_rules = self.hits[hit].rules.session.cut_at_midnight;
        (by_rules || self.errs(Mistake::MidnightAlwaysCuts)) && !self.errs(Mistake::MidnightIsIgnored)
    }

    pub(super) fn ended_the_day_before(&self, at: usize, hit: usize) -> bool {
        let t = self.hits[hit].raw.event_time_ms;
        self.midnight_cuts(hit) && self.date(hit, self.last(at)) < self.date(hit, t)
    }

    pub(super) fn begins_the_day_after(&self, at: usize, hit: usize) -> bool {
        let t = self.hits[hit].raw.event_time_ms;
        let joins = self.errs(Mistake::HitOfTheDayBeforeJoins);
        self.midnight_cuts(hit) && self.date(hit, t) < self.date(hit, self.first(at)) && !joins
    }

    pub(super) fn is_of_another_campaign(&self, at: usize, hit: usize, key: &RowKey) -> bool {
        let by_rules = self.hits[hit].rules.session.cut_on_campaign;
        let cuts =
            (by_rules || self.errs(Mistake::CampaignsAlwaysCut)) && !self.errs(Mistake::CampaignsAreIgnored);
        let page = page_of(&self.hits[hit].raw.url);
        let shared = page.shared.filter(|_| self.errs(Mistake::SharedLinkIsACampaign));
        let has_campaign = page.campaign.or(shared).is_some();
        let name = |key: &RowKey| [&key.source, &key.medium, &key.campaign].map(ToString::to_string);
        let is_same = name(&self.key_of_hit(hit, key)) == name(&self.sessions[at].key);
        cuts && has_campaign && (!is_same || self.errs(Mistake::TheSameCampaignCuts))
    }

    pub(super) fn is_engaged(&self, at: usize, hits: &[&Counted], duration: u64) -> bool {
        let of_first = self.errs(Mistake::ThresholdsAreThoseOfTheFirstHit);
        let rules = if of_first { &hits[0].rules } else { &self.latest(at).rules };
        let ten_seconds = self.errs(Mistake::ThresholdIsAlwaysTenSeconds);
        let long = if ten_seconds { 10_000 } else { u64::from(rules.session.engaged_after_s) * 1000 };
        let long = if self.errs(Mistake::EngagedAtTenSeconds) { long.saturating_sub(1) } else { long };
        let two = self.errs(Mistake::ThresholdIsAlwaysTwoPageViews);
        let many = if two { 2 } else { rules.session.engaged_page_views as usize };
        let engagement: u64 = hits.iter().map(|hit| hit.raw.engagement_ms).sum();
        let views = hits.iter().filter(|hit| hit.raw.event == "page_view").count();
        let has_key_event = hits.iter().any(|hit| hit.is_key_event);
        views >= many
            || duration > long
            || engagement > long
            || has_key_event && !self.errs(Mistake::KeyEventDoesNotEngage)
    }
}
