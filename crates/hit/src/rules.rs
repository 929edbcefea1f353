//! Rules that processing reads: values with a version, named by every hit.
//!
//! A change of rules is a new version beside the old ones, so that a replay years later reads what was in force
//! when the hit came. A version is never changed or removed. Tables that are at their defaults are not written.
//! What each may hold is checked by `property::Rulebook`; docs/rules.md has it for people.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One version of a property's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// From 1; the last one is in force.
    pub version: u32,
    /// Unix milliseconds: from when it is in force; 0: from the beginning, or not known. Always 0 of the first, so that properties may share it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since_ms: u64,
    /// IANA time zone: decides local date and hour of a hit.
    pub time_zone: String,
    /// ISO 4217: of money that comes without a currency.
    pub currency: String,
    /// A session ends after this much time without a hit, seconds. GA4: 1,800.
    #[serde(default = "default_session_timeout_s")]
    pub session_timeout_s: u32,
    /// How long after the time-out a session is held open for hits that come late, seconds.
    #[serde(default = "default_session_grace_s")]
    pub session_grace_s: u32,
    /// When sessions are cut, and when they are engaged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub session: SessionRules,
    /// Who counts as whom.
    #[serde(default, skip_serializing_if = "is_default")]
    pub traffic: TrafficRules,
    /// What is kept of people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub privacy: PrivacyRules,
    /// What becomes of page addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub urls: UrlRules,
    /// What events mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub events: EventRules,
    /// Channels of the property's own, asked before the default channel group; the first that fits is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelRule>,
}

/// Sessions beside their time-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionRules {
    /// Whether a session ends at midnight of the property's zone. GA4: no; Matomo: yes.
    pub cut_at_midnight: bool,
    /// Whether a hit with another campaign begins a new session. GA4: no; Matomo: yes.
    pub cut_on_campaign: bool,
    /// A session is engaged if it lasts longer than this, seconds. GA4: 10.
    pub engaged_after_s: u32,
    /// A session is engaged if it has so many page views. GA4: 2.
    pub engaged_page_views: u32,
    /// Events that say nothing of a person's interest: they neither open a session nor make it longer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passive_events: Vec<String>,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            cut_at_midnight: false,
            cut_on_campaign: false,
            engaged_after_s: 10,
            engaged_page_views: 2,
            passive_events: Vec::new(),
        }
    }
}

/// Who counts as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrafficRules {
    /// Whether browsers that a program drives count as human: for a site that tests its reports so.
    pub automation_is_human: bool,
    /// Whether hits from data centres count as human: for a site whose visitors come through them.
    pub data_centres_are_human: bool,
    /// Networks of the people who run the site, as `203.0.113.0/24`: their hits are internal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub internal_networks: Vec<String>,
    /// Sites that are spam as referrers, beside the list that Meridian has: registrable domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spam_referrers: Vec<String>,
    /// Sites that are never spam as referrers, whatever list has them, such as a partner's: registrable domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_referrers: Vec<String>,
    /// Sites that never begin a visit, such as the bank that customers come back from: registrable domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored_referrers: Vec<String>,
}

/// What is kept of people. All of it is decided where a hit is taken, before it is written anywhere: a replay finds what was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyRules {
    /// What of the visitor's address is kept with a hit. Visitor id, place and kind of network are found before, from all of it.
    pub address: AddressPolicy,
    /// What takes the visitor's consent.
    pub consent: ConsentPolicy,
}

/// What of the visitor's address is kept with a hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressPolicy {
    /// Its network: /24 of an IPv4 address, /48 of an IPv6 address.
    #[default]
    Truncated,
    /// Nothing.
    None,
    /// All of it.
    Full,
}

/// What takes the visitor's consent. A hit says itself whether there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// Nothing: what clients say is taken.
    #[default]
    NotNeeded,
    /// Recognising the visitor: a hit without consent is counted as that of a visitor without storage, whatever ids it has.
    ForClientId,
    /// Being counted: a hit without consent is not taken.
    Required,
}

/// What becomes of page addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UrlRules {
    /// Host names whose hits are counted; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Query parameters that stay part of the page, in this order; `["*"]`: every one, in the order of the address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_parameters: Vec<String>,
    /// Query parameters that are taken out where `keep_parameters` is `["*"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strip_parameters: Vec<String>,
    /// Whether paths are made lower case.
    pub lower_case: bool,
    /// What becomes of a slash at the end of a path.
    pub trailing_slash: TrailingSlash,
    /// Whether the part after `#` is the path, as in `/#/cart`.
    pub hash_routing: bool,
    /// Groups of pages: the first whose pattern fits gives the page its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<PageGroup>,
}

/// What becomes of a slash at the end of a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrailingSlash {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away, but for `/` itself.
    Strip,
    /// It is added, unless the last part has a dot in it.
    Add,
}

/// Pages that reports show as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageGroup {
    /// A path in which `*` stands for one part and `**`, at the end, for all that follow: `/product/*/reviews`.
    pub pattern: String,
    /// What the page is called in reports; none: the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What events mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventRules {
    /// Events that the site is there for; `purchase` and `Order Completed` always are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_events: Vec<String>,
    /// Pages that the site is there for, as patterns of their paths: a view of one is a key event. As in [`PageGroup::pattern`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_pages: Vec<String>,
    /// Parameters that reports know as `custom_1` to `custom_5`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom: Vec<CustomDimension>,
    /// Parameters whose sums reports know as `custom_metric_1` to `custom_metric_5`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_metrics: Vec<CustomMetric>,
}

/// A parameter of events that reports are grouped and filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomDimension {
    /// 1 to [`CUSTOM_DIMENSIONS`]: the dimension `custom_SLOT`. What was counted keeps its slot, so a slot is not given to another parameter.
    pub slot: u8,
    /// Name of the parameter, such as `plan`, or `user.plan` for what clients say of the visitor.
    pub parameter: String,
    /// Whose parameter it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: CustomScope,
}

/// Whose parameter a custom dimension is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomScope {
    /// The event's.
    #[default]
    Event,
    /// That of each item of the event: hits themselves have no value then.
    Item,
}

/// How many a property may have.
pub const CUSTOM_DIMENSIONS: u8 = 5;

/// A parameter of events that is a number and is added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// 1 to [`CUSTOM_METRICS`]: the metric `custom_metric_SLOT`. What was counted keeps its slot, so a slot is not given to another parameter.
    pub slot: u8,
    /// Name of the parameter, such as `litres`.
    pub parameter: String,
}

/// How many a property may have.
pub const CUSTOM_METRICS: u8 = 5;

/// A channel of the property's own. Every condition that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRule {
    /// What it is called in reports.
    pub name: String,
    /// Sources, one of which it is; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// Media, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub medium: Vec<String>,
    /// Campaigns, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaign: Vec<String>,
}

fn default_session_timeout_s() -> u32 {
    1800
}

fn default_session_grace_s() -> u32 {
    300
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Rules {
    /// The first version of a new property: GA4's session rules in this zone.
    pub fn first(time_zone: &str) -> Self {
        Self {
            version: 1,
            since_ms: 0,
            time_zone: time_zone.to_owned(),
            currency: String::new(),
            session_timeout_s: default_session_timeout_s(),
            session_grace_s: default_session_grace_s(),
            session: SessionRules::default(),
            traffic: TrafficRules::default(),
            privacy: PrivacyRules::default(),
            urls: UrlRules::default(),
            events: EventRules::default(),
            channels: Vec::new(),
        }
    }
}

/// Where processing finds the rules that a hit names.
pub trait RulesSource: Send + Sync {
    /// The rules of this property and version; `None` when they are not known (the hit is dropped with that reason).
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>>;
}
