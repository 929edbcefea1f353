//! What is known of a hit from itself and the rules it names: local time, page, client, and what it is to its session.
//!
//! In: a raw hit and the received time of its block. Out: an [`EnrichedHit`], or the reason why the hit goes into
//! no row. The event time decides minute, offset and local date, by the zone of the rules version that the hit
//! names. Caches in here hold only what follows from their key, so they are no state.

pub mod address;
pub mod acquisition;
pub mod custom;
pub mod domains;
pub mod items;
pub mod measured;
pub mod memory;
pub mod money;
pub mod page;
pub mod terms;
pub mod user_agent;
pub mod traffic;

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hit::{CustomDimension, CustomMetric, HitView, ItemView, PAGE_VIEW, Rules, RulesSource};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use siphasher::sip::SipHasher24;

use crate::enrich::acquisition::Arrival;
use crate::enrich::address::{Address, PAGE_TITLE_BYTES, cut};
use crate::enrich::domains::Domains;
use crate::enrich::page::Pages;
use crate::enrich::terms::Terms;
use crate::enrich::traffic::{TrafficTerms, traffic_of};
use crate::enrich::user_agent::{Detected, Detection};
use crate::handover::{Dimensions, DropReason, EnrichedHit, Item, ItemLine, Place, Receipt, Revenue};

/// Entries a cache may have; at the limit it is emptied.
const CACHE_ENTRIES: usize = 100_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// One version of a property's rules, with its zone.
struct Resolved {
    property: Arc<str>,
    currency: String,
    custom: Vec<CustomDimension>,
    custom_metrics: Vec<CustomMetric>,
    zone: TimeZone,
    terms: Terms,
    pages: Pages,
    ignored_referrers: Arc<Domains>,
    traffic: TrafficTerms,
}

/// Minute, offset and date of an event.
struct LocalTime {
    minute: u32,
    utc_offset_s: i32,
    local_date: u16,
}

/// The stage and its caches.
pub struct Enricher {
    detection: Arc<Detection>,
    rules: Arc<dyn RulesSource>,
    zones: TimeZoneDatabase,
    /// By property; of each the few versions that hits still name. Versions never change, so an entry stays true.
    resolved: HashMap<String, Vec<(u32, Arc<Resolved>)>, RandomState>,
    resolved_count: usize,
    /// Texts of rows that were seen (paths, hosts, events, places, values), so that equal ones share memory.
    strings: HashSet<Arc<str>, RandomState>,
    /// Places that were seen, likewise.
    places: HashSet<Arc<Place>, RandomState>,
}

impl Enricher {
    /// The stage with empty caches. Zones come from the database in this build, never from the host.
    pub fn new(detection: Arc<Detection>, rules: Arc<dyn RulesSource>) -> Self {
        Self {
            detection,
            rules,
            zones: TimeZoneDatabase::bundled(),
            resolved: HashMap::default(),
            resolved_count: 0,
            strings: HashSet::default(),
            places: HashSet::default(),
        }
    }

    /// Enriches a hit of a block received at this time. The arrival goes along for the acquisition of a session.
    ///
    /// # Errors
    /// The reason why the hit goes into no row.
    pub fn enrich<'a>(
        &mut self,
        hit: &HitView<'a>,
        received_at_ms: u64,
    ) -> Result<(EnrichedHit, Arrival<'a>), DropReason> {
        let rules = self.resolve(hit.property_id, hit.rules_version)?;
        let time = local_time(hit.event_time_ms, &rules.zone).ok_or(DropReason::ImpossibleTime)?;
        let address = Address::parse(hit.url);
        if !rules.pages.are_counted(&address) {
            return Err(DropReason::ForeignHostname);
        }
        let Detected { client, traffic } = self.detection.of(hit);
        let referrer = Address::parse(hit.referrer);
        let traffic = traffic_of(hit, &referrer, &rules.traffic, traffic);
        let enriched = EnrichedHit {
            dimensions: Dimensions {
                property: Arc::clone(&rules.property),
                local_date: time.local_date,
                minute: time.minute,
                utc_offset_s: time.utc_offset_s,
                page_path: self.share(&rules.pages.name(&address)),
                hostname: self.share(address.host().unwrap_or_default()),
                place: self.place(hit),
                client,
                traffic,
            },
            event: self.share(hit.event),
            is_page_view: hit.event == PAGE_VIEW,
            event_time_ms: hit.event_time_ms,
            received_at_ms,
            visitor_id: hit.visitor_id,
            previous_visitor_id: hit.previous_visitor_id,
            session_id: (!hit.session_id.is_empty()).then(|| hash_of_session_id(hit.session_id)),
            has_client_id: !hit.client_id.is_empty(),
            first_visit: hit.first_visit.unwrap_or(false),
            visitor_type: memory::visitor_type(hit),
            first_source: self.share(memory::first_source(hit)),
            is_key_event: rules.terms.is_key_event(hit.event)
                || hit.event == PAGE_VIEW && rules.pages.is_key_page(&address),
            revenue: self.revenue(hit, &rules.currency),
            values: measured::values(hit),
            page_title: self.share(cut(hit.title.trim(), PAGE_TITLE_BYTES)),
            items: self.items(hit, &rules),
            custom: self.share(&custom::values(&hit.params, &[], &rules.custom)),
            custom_micros: custom::metrics(hit, &rules.custom_metrics),
            engagement_ms: hit.engagement_ms,
            is_passive: rules.terms.is_passive(hit.event),
            day: rules.terms.day(hit.event_time_ms, &rules.zone),
            campaign: rules.terms.campaign(&address),
            terms: rules.terms.session,
        };
        let arrival = Arrival {
            page: address,
            referrer,
            first_source: Arc::clone(&enriched.first_source),
            ignored_referrers: Arc::clone(&rules.ignored_referrers),
        };
        Ok((enriched, arrival))
    }

    /// When hits of this property were received, by the zone of these rules.
    ///
    /// # Errors
    /// The reason why there is no such time.
    pub fn receipt(
        &mut self,
        property_id: &str,
        rules_version: u32,
        received_at_ms: u64,
    ) -> Result<Receipt, DropReason> {
        let rules = self.resolve(property_id, rules_version)?;
        let time = local_time(received_at_ms, &rules.zone).ok_or(DropReason::ImpossibleTime)?;
        let LocalTime { minute, utc_offset_s, local_date } = time;
        Ok(Receipt { property: Arc::clone(&rules.property), local_date, minute, utc_offset_s })
    }

    fn resolve(&mut self, property_id: &str, version: u32) -> Result<Arc<Resolved>, DropReason> {
        let versions = self.resolved.get(property_id).map(Vec::as_slice).unwrap_or_default();
        if let Some((_, found)) = versions.iter().rev().find(|(number, _)| *number == version) {
            return Ok(Arc::clone(found));
        }
        let rules = self.rules.rules(property_id, version).ok_or(DropReason::UnknownProperty)?;
        let resolved = Arc::new(self.with_zone(property_id, &rules)?);
        if self.resolved_count >= CACHE_ENTRIES {
            self.resolved.clear();
            self.resolved_count = 0;
        }
        let versions = self.resolved.entry(property_id.to_owned()).or_default();
        versions.push((version, Arc::clone(&resolved)));
        self.resolved_count += 1;
        Ok(resolved)
    }

    fn with_zone(&mut self, property_id: &str, rules: &Rules) -> Result<Resolved, DropReason> {
        let zone = self.zones.get(&rules.time_zone).map_err(|_| DropReason::UnknownTimeZone)?;
        Ok(Resolved {
            property: property_id.into(),
            zone,
            terms: Terms::new(rules),
            pages: Pages::new(&rules.urls, &rules.events.key_pages),
            ignored_referrers: Arc::new(Domains::new(&rules.traffic.ignored_referrers)),
            currency: rules.currency.clone(),
            custom: rules.events.custom.clone(),
            custom_metrics: rules.events.custom_metrics.clone(),
            traffic: TrafficTerms::new(&rules.traffic),
        })
    }

    fn place(&mut self, hit: &HitView<'_>) -> Arc<Place> {
        let place = Place {
            country: self.share(hit.country),
            region: self.share(hit.region),
            city: self.share(hit.city),
        };
        if let Some(known) = self.places.get(&place) {
            return Arc::clone(known);
        }
        if self.places.len() >= CACHE_ENTRIES {
            self.places.clear();
        }
        let shared = Arc::new(place);
        self.places.insert(Arc::clone(&shared));
        shared
    }

    fn revenue(&mut self, hit: &HitView<'_>, of_property: &str) -> Option<Revenue> {
        let (code, micros) = money::revenue(hit, of_property)?;
        Some(Revenue { currency: self.share(money::currency_text(&code)), micros })
    }

    /// The goods of a shop event; empty for nearly every hit.
    fn items(&mut self, hit: &HitView<'_>, rules: &Resolved) -> Vec<ItemLine> {
        if hit.items.is_empty() {
            return Vec::new();
        }
        let Some(action) = items::action(hit.event) else { return Vec::new() };
        let currency = self.share(money::currency_text(&money::currency(hit, &rules.currency)));
        let line = |item: &ItemView<'_>| ItemLine {
            item: Item {
                id: self.share(item.id),
                name: self.share(item.name),
                brand: self.share(item.brand),
                category: self.share(item.category),
                variant: self.share(item.variant),
            },
            currency: Arc::clone(&currency),
            custom: self.share(&custom::values(&hit.params, &item.params, &rules.custom)),
            action,
            quantity: items::quantity(item),
            revenue_micros: items::revenue_micros(action, item),
        };
        hit.items.iter().map(line).collect()
    }

    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        if self.strings.len() >= CACHE_ENTRIES {
            self.strings.clear();
        }
        let shared: Arc<str> = text.into();
        self.strings.insert(Arc::clone(&shared));
        shared
    }
}

fn local_time(event_time_ms: u64, zone: &TimeZone) -> Option<LocalTime> {
    let milliseconds = i64::try_from(event_time_ms).ok()?;
    let timestamp = Timestamp::from_millisecond(milliseconds).ok()?;
    let utc_offset_s = zone.to_offset(timestamp).seconds();
    let local_s = milliseconds.div_euclid(1000) + i64::from(utc_offset_s);
    Some(LocalTime {
        minute: u32::try_from(event_time_ms / 60_000).ok()?,
        utc_offset_s,
        local_date: u16::try_from(local_s.div_euclid(SECONDS_PER_DAY)).ok()?,
    })
}

/// A visitor has few sessions, so 64 bits tell them apart; the text itself need not be kept.
fn hash_of_session_id(session_id: &str) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(session_id.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
