//! Who is behind a hit: the first reason that holds, in the order of [`TrafficReason::ALL`].
//!
//! In: the hit, the property's rules, and what its user agent and client hints speak for. Out: the reason, and with it the class.

use hit::{HitView, ParamValue, ParamView, TrafficRules};

use crate::enrich::address::Address;
use crate::handover::{TrafficClass, TrafficReason};

/// [`HitView::network`] of an address in a network that the property's rules name.
const INTERNAL: &str = "internal";
/// [`HitView::network`] of a data centre's address.
const HOSTING: &str = "hosting";
/// The parameter, and its value, by which Google Analytics' tags mark the hits of those who run the site.
const TRAFFIC_TYPE: (&str, &str) = ("traffic_type", "internal");

/// The parameter by which our tracker marks the hits of a browser that a program drives.
const WEB_DRIVER: &str = "webdriver";

/// What speaks for the class of a hit. `detected` is what its user agent and client hints speak for.
pub fn traffic_of(hit: &HitView<'_>, rules: &TrafficRules, detected: TrafficReason) -> TrafficReason {
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
        TrafficReason::SpamReferrer => is_spam(hit.referrer, rules),
        TrafficReason::DataCentre => hit.network == HOSTING && !rules.data_centres_are_human,
        reason if reason.class() == TrafficClass::Automation => {
            reason == detected && !rules.automation_is_human
        }
        reason => reason == detected,
    };
    TrafficReason::ALL.into_iter().find(|reason| holds(*reason)).unwrap_or(TrafficReason::None)
}

fn is_spam(referrer: &str, rules: &TrafficRules) -> bool {
    let referrer = Address::parse(referrer);
    let Some(host) = referrer.host() else { return false };
    let lies_in = |site: &String| {
        host.strip_suffix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    sources::is_spam_referrer(host) || rules.spam_referrers.iter().any(lies_in)
}

#[cfg(test)]
mod tests;
