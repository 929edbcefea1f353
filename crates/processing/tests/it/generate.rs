//! Random days of a small world: few visitors, few ids, times on a coarse grid, so that everything collides.

use hit::{Forget, ImportMark, ParamValue, Parameter, RawHit, Refusals, parameter};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::Bounds;
use crate::rules::rules;
use crate::run::{After, Step};
use crate::world::{GOODS, Goods, INSTANTS, PAGES, PARAMS, REFERRERS, USER_AGENTS, World};

/// A world, limits, and what happens in it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) bounds: Bounds,
    pub(crate) steps: Vec<Step>,
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const PROPERTIES: [&str; 2] = ["p_a", "p_b"];

/// Time between blocks; the time-outs of the world and a second to either side are among the sums.
const PAUSES: [u64; 13] = [
    0,
    SECOND,
    10 * SECOND,
    MINUTE,
    10 * MINUTE,
    29 * MINUTE,
    30 * MINUTE,
    30 * MINUTE + SECOND,
    35 * MINUTE,
    HOUR,
    6 * HOUR,
    24 * HOUR,
    26 * HOUR,
];
/// How late a hit comes.
const AGES: [u64; 12] =
    [0, 0, 0, 0, SECOND, 11 * SECOND, MINUTE, 29 * MINUTE, 30 * MINUTE, 31 * MINUTE, 2 * HOUR, 25 * HOUR];

fn world() -> impl Strategy<Value = World> {
    vec(rules(), PROPERTIES.len() * 3).prop_map(|versions| {
        let names =
            PROPERTIES.iter().flat_map(|property| (1..=3).map(|version| (property.to_string(), version)));
        World { rules: names.zip(versions).collect() }
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let count = || select(vec![1_000_usize, 1_000, 3, 2]);
    let visitors = select(vec![1_000_usize, 1_000, 3, 2, 0]);
    (count(), count(), visitors, count()).prop_map(|(ids, sessions, visitors, pages_per_hour)| Bounds {
        ids,
        sessions,
        visitors,
        pages_per_hour,
    })
}

/// Page views and clicks are most of what happens; some events are of shops.
const EVENTS: [&str; 14] = [
    "page_view",
    "page_view",
    "page_view",
    "page_view",
    "page_view",
    "click",
    "click",
    "click",
    "ping",
    "purchase",
    "purchase",
    "view_item",
    "Product Added",
    "item",
];

fn currency(code: &str) -> Parameter {
    Parameter { key: "currency".to_owned(), value: Some(parameter::Value::Text(code.to_owned())) }
}

/// A hit without its time; the first value is its age.
fn hit() -> impl Strategy<Value = (u64, RawHit)> {
    let who = (
        select(PROPERTIES.to_vec()),
        1_u64..4,
        weighted(0.3, 1_u64..4),
        select(USER_AGENTS.map(|(text, _)| text).to_vec()),
    );
    let said = (
        weighted(0.3, 1_u8..6),
        weighted(0.25, select(vec!["s1", "s2"])),
        any::<bool>(),
        weighted(0.2, any::<bool>()),
    );
    let what = (
        select(EVENTS.to_vec()),
        select(PAGES.map(|page| page.url).to_vec()),
        select(REFERRERS.map(|(url, _, _)| url).to_vec()),
        select(vec![0_u64, 0, 3_000, 8_000, 10_000, 10_001]),
        select(vec!["DE", ""]),
        vec(select(PARAMS.to_vec()), 0..3),
        select(vec!["", "Home", " Home", "Prices"]),
    );
    let sold = (vec(select(GOODS.to_vec()), 0..3), weighted(0.3, select(vec!["eur", "coins"])));
    let version = prop_oneof![40 => 1_u32..4, 1 => Just(9_u32)];
    (select(AGES.to_vec()), version, who, said, what, sold).prop_map(
        |(age, rules_version, who, said, what, sold)| {
            let (property, visitor_id, previous_visitor_id, user_agent) = who;
            let (hit_id, session_id, has_client_id, first_visit) = said;
            let (event, url, referrer, engagement_ms, country, params, title) = what;
            let hit = RawHit {
                property_id: property.to_owned(),
                rules_version,
                visitor_id,
                previous_visitor_id,
                hit_id: hit_id.map_or(String::new(), |id| format!("h{id}")),
                client_id: if has_client_id { "c".to_owned() } else { String::new() },
                session_id: session_id.unwrap_or("").to_owned(),
                first_visit,
                event: event.to_owned(),
                url: url.to_owned(),
                referrer: referrer.to_owned(),
                title: title.to_owned(),
                engagement_ms,
                country: country.to_owned(),
                user_agent: user_agent.to_owned(),
                items: sold.0.iter().map(Goods::item).collect(),
                params: params
                    .into_iter()
                    .map(|(key, value, _)| sent(key, value))
                    .chain(sold.1.map(currency))
                    .collect(),
                ..RawHit::default()
            };
            (age, hit)
        },
    )
}

fn sent(key: &str, value: ParamValue<'_>) -> Parameter {
    let value = match value {
        ParamValue::Text(text) => parameter::Value::Text(text.to_owned()),
        ParamValue::Number(number) => parameter::Value::Number(number),
        ParamValue::Flag(flag) => parameter::Value::Flag(flag),
    };
    Parameter { key: key.to_owned(), value: Some(value) }
}

/// Of a property and version that may not be there, by a reason that may not be known.
fn refusals() -> impl Strategy<Value = Refusals> {
    let whose = (select(vec!["p_a", "p_a", "p_b", "p_none"]), prop_oneof![9 => 1_u32..4, 1 => Just(9_u32)]);
    let reason = select(vec!["invalid_field", "too_old", "foreign_hostname", "of a later build", "other"]);
    (whose, reason, 1_u64..100).prop_map(|((property, rules_version), reason, count)| Refusals {
        property_id: property.to_owned(),
        rules_version,
        reason: reason.to_owned(),
        count,
    })
}

/// Of a few visitors of a property or of all; a job may come twice.
fn forget() -> impl Strategy<Value = Forget> {
    (1_u8..9, select(PROPERTIES.to_vec()), vec(1_u64..4, 0..3)).prop_map(|(job, property, visitor_ids)| {
        Forget { job: format!("e_{job}"), property_id: property.to_owned(), visitor_ids }
    })
}

fn after() -> impl Strategy<Value = After> {
    (proptest::bool::weighted(0.3), proptest::bool::weighted(0.3), proptest::bool::weighted(0.2))
        .prop_map(|(seal, checkpoint, crash)| After { seal, checkpoint, crash })
}

/// Everything random about a world of at most this many blocks.
pub(crate) fn case(max_blocks: usize) -> impl Strategy<Value = Case> {
    let mark = (select(PROPERTIES.to_vec()), select(vec![0_u64, 10 * MINUTE, HOUR]));
    let refused = prop_oneof![3 => Just(Vec::new()), 1 => vec(refusals(), 1..4)];
    let forgets = prop_oneof![5 => Just(Vec::new()), 1 => vec(forget(), 1..3)];
    let block = (select(PAUSES.to_vec()), vec(hit(), 0..5), weighted(0.15, mark), refused, forgets, after());
    let start = (select(INSTANTS.to_vec()), 0_u64..4);
    (world(), bounds(), start, vec(block, 1..max_blocks)).prop_map(
        |(world, bounds, (instant, ahead), blocks)| {
            let mut now = u64::try_from(instant).unwrap() * SECOND - ahead * 20 * MINUTE;
            let mut steps = Vec::new();
            for (pause, hits, mark, refusals, forgets, after) in blocks {
                now += pause;
                let at = |(age, hit): (u64, RawHit)| RawHit { event_time_ms: now - age, ..hit };
                let mark_of = |(property, age): (&str, u64)| ImportMark {
                    property_id: property.to_owned(),
                    event_time_ms: now - age,
                };
                steps.push(Step {
                    received_at_ms: now,
                    hits: hits.into_iter().map(at).collect(),
                    marks: mark.into_iter().map(mark_of).collect(),
                    refusals,
                    forgets,
                    after,
                });
            }
            Case { world, bounds, steps }
        },
    )
}
