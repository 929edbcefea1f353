//! Where a session came from, decided by its first hit.
//!
//! In: addresses of page and referrer. Out: source, medium, campaign. In this order: what the page's address says (`utm_source`); the id
//! that an advertiser's link carries; the referrer, unless it is the site itself, a payment gateway or one that the property ignores; the
//! id that a shared link carries; `(direct)`. The first two of these are a campaign.

use std::sync::Arc;

use sources::Category;

use crate::enrich::address::{Address, CAMPAIGN_BYTES};
use crate::enrich::domains::Domains;
use crate::handover::{Acquisition, NOT_SET, VisitorType};

/// The medium and the campaign of what an assistant sent, as Google Analytics names them.
const ASSISTANT: (&str, &str) = ("ai-assistant", "(ai-assistant)");

/// Parameters that only paid links carry: parameter, source, medium.
const PAID_IDS: [(&str, &str, &str); 24] = [
    ("gclid", "google", "cpc"),
    ("gbraid", "google", "cpc"),
    ("wbraid", "google", "cpc"),
    ("gad_source", "google", "cpc"),
    ("dclid", "dv360", "cpm"),
    ("msclkid", "bing", "cpc"),
    ("ttclid", "tiktok", "cpc"),
    ("twclid", "twitter", "cpc"),
    ("li_fat_id", "linkedin", "cpc"),
    ("rdt_cid", "reddit", "cpc"),
    ("sccid", "snapchat", "cpc"),
    ("ScCid", "snapchat", "cpc"),
    ("qclid", "quora", "cpc"),
    ("yclid", "yandex", "cpc"),
    ("tblci", "taboola", "cpc"),
    ("obclid", "outbrain", "cpc"),
    ("dicbo", "outbrain", "cpc"),
    ("ttd_uuid", "thetradedesk", "cpm"),
    ("irclid", "impact", "affiliate"),
    ("irclickid", "impact", "affiliate"),
    ("awc", "awin", "affiliate"),
    ("cjevent", "cj", "affiliate"),
    ("ranSiteID", "rakuten", "affiliate"),
    ("sscid", "shareasale", "affiliate"),
];

/// Parameters that links carry which nobody paid for.
const SHARED_IDS: [(&str, &str, &str); 10] = [
    ("fbclid", "facebook", "referral"),
    ("igshid", "instagram", "referral"),
    ("igsh", "instagram", "referral"),
    ("epik", "pinterest", "referral"),
    ("srsltid", "google", "organic"),
    ("mc_cid", "mailchimp", "email"),
    ("mc_eid", "mailchimp", "email"),
    ("_hsenc", "hubspot", "email"),
    ("_kx", "klaviyo", "email"),
    ("mkt_tok", "marketo", "email"),
];

/// What a hit says of where it came from.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The page it came to.
    pub page: Address<'a>,
    /// The page it came from.
    pub referrer: Address<'a>,
    /// Source of its visitor's first visit.
    pub first_source: Arc<str>,
    /// Domains that nobody comes from, by the property's rules.
    pub ignored_referrers: Arc<Domains>,
}

impl Arrival<'_> {
    /// Where a session comes from that begins with this hit, of a visitor of this type.
    pub fn acquisition(&self, visitor_type: VisitorType) -> Acquisition {
        let found = campaign(&self.page)
            .or_else(|| of_referrer(&self.page, &self.referrer, &self.ignored_referrers))
            .or_else(|| by_id(&self.page, &SHARED_IDS))
            .unwrap_or_else(|| from("(direct)", "(none)", ""));
        Acquisition { visitor_type, first_source: Arc::clone(&self.first_source), ..found }
    }
}

/// The campaign that a page's address names, or the paid link that leads to it. `utm_medium` and `utm_campaign` count only
/// beside a `utm_source`.
pub fn campaign(page: &Address<'_>) -> Option<Acquisition> {
    let campaign = page.campaign();
    if campaign.source.is_empty() {
        return by_id(page, &PAID_IDS);
    }
    Some(tagged(&campaign.source, &campaign.medium, &campaign.name))
}

fn from(source: &str, medium: &str, campaign: &str) -> Acquisition {
    Acquisition {
        source: source.into(),
        medium: medium.into(),
        campaign: campaign.into(),
        visitor_type: VisitorType::NotSet,
        first_source: NOT_SET.into(),
    }
}

/// ChatGPT writes itself into `utm_source` and nothing beside it.
fn tagged(source: &str, medium: &str, campaign: &str) -> Acquisition {
    let found = || sources::find(&source.to_ascii_lowercase());
    let is_assistant = || found().is_some_and(|found| found.category == Category::Assistant);
    match (medium, campaign) {
        ("", "") if is_assistant() => from(source, ASSISTANT.0, ASSISTANT.1),
        ("", _) => from(source, "(not set)", campaign),
        _ => from(source, medium, campaign),
    }
}

fn by_id(page: &Address<'_>, ids: &[(&str, &str, &str)]) -> Option<Acquisition> {
    let (_, source, medium) = ids.iter().find(|(name, _, _)| page.has_parameter(name))?;
    Some(from(source, medium, ""))
}

fn of_referrer(page: &Address<'_>, referrer: &Address<'_>, ignored: &Domains) -> Option<Acquisition> {
    let host = referrer.host()?;
    if page.host().is_some_and(|own| is_same_site(own, host))
        || sources::is_payment_gateway(host)
        || ignored.have(host)
    {
        return None;
    }
    Some(match sources::find(host) {
        Some(source) => match source.category {
            Category::Search => from(source.name, "organic", ""),
            Category::Assistant => from(source.name, ASSISTANT.0, ASSISTANT.1),
            Category::Social | Category::Video | Category::Shopping => from(source.name, "referral", ""),
        },
        None => from(&host[..host.floor_char_boundary(CAMPAIGN_BYTES)], "referral", ""),
    })
}

/// Whether two hosts have the same registrable domain (public suffix list); hosts without one are compared as they are.
fn is_same_site(own: &str, other: &str) -> bool {
    own == other || psl::domain_str(own).is_some_and(|domain| psl::domain_str(other) == Some(domain))
}

#[cfg(test)]
mod tests;
