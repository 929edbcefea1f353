//! Who is behind a hit: the first reason that holds, in the order of [`TrafficReason::ALL`].
//!
//! In: the hit, the property's rules, and what its user agent and client hints speak for. Out: the reason, and with it the class.

use hit::{HitView, ParamValue, ParamView, TrafficRules};

use crate::enrich::address::Address;
use crate::enrich::domains::Domains;
use crate::handover::{TrafficClass, TrafficReason};

/// [`HitView::network`] of an address in a network that the property's rules name.
const INTERNAL: &str = "internal";
/// [`HitView::network`] of a data centre's address.
const HOSTING: &str = "hosting";
/// The parameter, and its value, by which Google Analytics' tags mark the hits of those who run the site.
const TRAFFIC_TYPE: (&str, &str) = ("traffic_type", "internal");

/// The parameter by which our tracker marks the hits of a browser that a program drives.
const WEB_DRIVER: &str = "webdriver";

/// What a property's rules say of traffic, as it is asked for each hit.
#[derive(Debug)]
pub struct TrafficTerms {
    automation_is_human: bool,
    data_centres_are_human: bool,
    spam_referrers: Domains,
    allowed_referrers: Domains,
}

impl TrafficTerms {
    /// Of these rules.
    pub fn new(rules: &TrafficRules) -> Self {
        Self {
            automation_is_human: rules.automation_is_human,
            data_centres_are_human: rules.data_centres_are_human,
            spam_referrers: Domains::new(&rules.spam_referrers),
            allowed_referrers: Domains::new(&rules.allowed_referrers),
        }
    }
}

/// What speaks for the class of a hit. `referrer` is its own, and `detected` what its user agent and client hints speak for.
pub fn traffic_of(
    hit: &HitView<'_>,
    referrer: &Address<'_>,
    rules: &TrafficTerms,
    detected: TrafficReason,
) -> TrafficReason {
    let holds = |reason: TrafficReason| match reason {
        TrafficReason::None => false,
        TrafficReason::InternalNetwork => hit.network == INTERNAL,
        TrafficReason::InternalParameter => hit.params.iter().any(|param| {
            param.key == TRAFFIC_TYPE.0 && param.value == Some(ParamValue::Text(TRAFFIC_TYPE.1))
        }),
        TrafficReason::WebDriver => {
            let is_marked = |param: &ParamView<'_>| {
                param.key == WEB_DRIVER && param.value == Some(ParamValue::Flag(true))
            };
            !rules.automation_is_human && hit.params.iter().any(is_marked)
        }
        TrafficReason::Prefetch => hit.prefetch,
        TrafficReason::SpamReferrer => is_spam(referrer, rules),
        TrafficReason::DataCentre => hit.network == HOSTING && !rules.data_centres_are_human,
        reason if reason.class() == TrafficClass::Automation => {
            reason == detected && !rules.automation_is_human
        }
        reason => reason == detected,
    };
    TrafficReason::ALL.into_iter().find(|reason| holds(*reason)).unwrap_or(TrafficReason::None)
}

fn is_spam(referrer: &Address<'_>, rules: &TrafficTerms) -> bool {
    let TrafficTerms { spam_referrers, allowed_referrers, .. } = rules;
    referrer.host().is_some_and(|host| {
        (sources::is_spam_referrer(host) || spam_referrers.have(host)) && !allowed_referrers.have(host)
    })
}

#[cfg(test)]
mod tests;
