//! Random rules of a property: zone, time-out, and everything that acts on sessions and pages.

use hit::{
    CustomDimension, CustomMetric, CustomScope, EventRules, PageGroup, Rules, SessionRules, TrafficRules,
    TrailingSlash, UrlRules,
};
use proptest::bool::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::ZONES;

/// One version of a property's rules.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let zone = select(ZONES.map(|(zone, _)| zone).to_vec());
    let times = (select(vec![60_u32, 1800, 1800, 7200, 86_400, 86_400]), select(vec![0_u32, 60, 300]));
    let key = (texts(&[&[], &["click"]]), texts(&[&[], &[], &["/a/**"]]));
    let names = (metrics(), key, texts(&[&[], &[], &["blog.example", "google.co.uk"]]));
    let shop = (custom(), select(vec!["USD", ""]));
    (zone, times, session(), urls(), names, shop).prop_map(|(zone, times, session, urls, names, shop)| {
        let (session_timeout_s, session_grace_s) = times;
        let (custom_metrics, (key_events, key_pages), ignored_referrers) = names;
        let traffic = TrafficRules { ignored_referrers, ..TrafficRules::default() };
        let events = EventRules { key_events, key_pages, custom: shop.0, custom_metrics };
        let currency = shop.1.to_owned();
        Rules {
            currency,
            session_timeout_s,
            session_grace_s,
            session,
            urls,
            traffic,
            events,
            ..Rules::first(zone)
        }
    })
}

/// A slot for the size of items, or for one that events would have.
fn custom() -> impl Strategy<Value = Vec<CustomDimension>> {
    let size = |slot, scope| vec![CustomDimension { slot, parameter: "size".to_owned(), scope }];
    select(vec![vec![], size(1, CustomScope::Item), size(2, CustomScope::Item), size(1, CustomScope::Event)])
}

fn session() -> impl Strategy<Value = SessionRules> {
    let cuts = (weighted(0.5), weighted(0.5));
    let passive = texts(&[&[], &["ping"], &["ping", "click", "page_view"], &["purchase"]]);
    (cuts, select(vec![10_u32, 10, 0, 60]), select(vec![2_u32, 2, 1, 3, 9]), passive).prop_map(
        |((cut_at_midnight, cut_on_campaign), engaged_after_s, engaged_page_views, passive_events)| {
            SessionRules {
                cut_at_midnight,
                cut_on_campaign,
                engaged_after_s,
                engaged_page_views,
                passive_events,
            }
        },
    )
}

fn urls() -> impl Strategy<Value = UrlRules> {
    let keep = texts(&[&[], &["id", "x"], &["y"], &["*"], &["*"]]);
    let lists = (texts(&[&[], &[], &[], &["shop.example"]]), keep, texts(&[&[], &["x", "gclid"]]));
    let slash = select(vec![TrailingSlash::Keep, TrailingSlash::Strip, TrailingSlash::Add]);
    let any = (lists, any::<bool>(), slash, any::<bool>(), groups()).prop_map(
        |(
            (hostnames, keep_parameters, strip_parameters),
            lower_case,
            trailing_slash,
            hash_routing,
            groups,
        )| {
            UrlRules {
                hostnames,
                keep_parameters,
                strip_parameters,
                lower_case,
                trailing_slash,
                hash_routing,
                groups,
            }
        },
    );
    prop_oneof![any, Just(UrlRules::default())]
}

fn groups() -> impl Strategy<Value = Vec<PageGroup>> {
    let group = |(pattern, name): (&str, Option<&str>)| PageGroup {
        pattern: pattern.to_owned(),
        name: name.map(str::to_owned),
    };
    let lists = [
        vec![],
        vec![],
        vec![("/a/*", None), ("/a/**", Some("All of a"))],
        vec![("/A/*", Some("Capital")), ("/", Some("Home")), ("/c", Some("C"))],
    ];
    select(lists.map(|list| list.into_iter().map(group).collect()).to_vec())
}

fn metrics() -> impl Strategy<Value = Vec<CustomMetric>> {
    let metric = |(slot, parameter): (u8, &str)| CustomMetric { slot, parameter: parameter.to_owned() };
    let lists = [vec![], vec![(1, "litres")], vec![(5, "litres"), (2, "seats")], vec![(3, "seats")]];
    select(lists.map(|list| list.into_iter().map(metric).collect()).to_vec())
}

/// One of these lists.
fn texts(lists: &'static [&'static [&'static str]]) -> impl Strategy<Value = Vec<String>> {
    select(lists).prop_map(|list| list.iter().map(|text| (*text).to_owned()).collect())
}
