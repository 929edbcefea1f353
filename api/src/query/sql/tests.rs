//! What the statements look like, and that nothing of a request stands in them.

use proptest::prelude::*;

use super::*;
use crate::plan::tests::{property, request};

fn planned(metrics: &str, dimensions: &str, filter: &str) -> Plan {
    crate::plan::plan(&request(metrics, dimensions, filter), property("UTC"), 0).unwrap()
}

#[test]
fn rows_are_bound_to_property_days_and_people() {
    let plan = planned("page_views visitors", "date hour", "source==google and hour!=3");
    let sql = rows(&plan, &plan.parts[0], true, 0);
    assert_eq!(
        sql.text,
        "SELECT toString(local_date) AS d0, toString(toHour(local_hour, 'UTC')) AS d1, \
         sum(page_views) AS m_page_views, uniqCombined64Merge(14)(visitors) AS m_visitors FROM hit_hourly \
         WHERE property = {property:String} AND generation = 0 \
         AND local_date BETWEEN toDate({day_from:String}) AND toDate({day_to:String}) AND traffic_class = 'human' \
         AND ((source = {p3:String} AND toString(toHour(local_hour, 'UTC')) != {p4:String})) \
         GROUP BY d0, d1 ORDER BY d0 ASC, toUInt8(d1) ASC LIMIT 10000 OFFSET 0"
    );
    let params: Vec<_> = sql.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("property", "p_aaaaaaaaaaaa"),
        ("day_from", "2015-05-17"),
        ("day_to", "2015-05-20"),
        ("p3", "google"),
        ("p4", "3"),
    ];
    assert_eq!(params, expected);
}

#[test]
fn what_was_not_counted_is_not_held_to_people() {
    let plan = planned("refused_hits events", "date", "hour==3");
    let texts: Vec<_> = plan.parts.iter().map(|part| totals(&plan, part).text).collect();
    let days =
        "AND generation = 0 AND local_date BETWEEN toDate({day_from:String}) AND toDate({day_to:String})";
    let hour = "AND (toString(toHour(local_hour, 'UTC')) = {p3:String})";
    let expected = [
        format!(
            "SELECT sum(hits) AS m_refused_hits FROM refusal_hourly WHERE property = {{property:String}} {days} {hour}"
        ),
        format!(
            "SELECT sum(events) AS m_events FROM total_hourly WHERE property = {{property:String}} {days} \
             AND traffic_class = 'human' {hour}"
        ),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn filters_of_tables_name_every_fact_table() {
    assert_eq!(
        additional_table_filters("p_aaaaaaaaaaaa'"),
        r"{'hit_rollup':'property = \'p_aaaaaaaaaaaa\'','session_rollup':'property = \'p_aaaaaaaaaaaa\'','value_rollup':'property = \'p_aaaaaaaaaaaa\'','item_rollup':'property = \'p_aaaaaaaaaaaa\'','refusal_rollup':'property = \'p_aaaaaaaaaaaa\'','hit_hourly':'property = \'p_aaaaaaaaaaaa\'','session_hourly':'property = \'p_aaaaaaaaaaaa\'','total_hourly':'property = \'p_aaaaaaaaaaaa\'','value_hourly':'property = \'p_aaaaaaaaaaaa\'','item_hourly':'property = \'p_aaaaaaaaaaaa\'','refusal_hourly':'property = \'p_aaaaaaaaaaaa\''}"
    );
}

proptest! {
    #[test]
    fn statement_never_holds_what_the_filter_says(
        value in "\\PC{1,40}",
        operator in prop::sample::select(vec!["==", "!=", "in"]),
    ) {
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let filter = if operator == "in" { format!("source in({quoted},x)") } else { format!("source{operator}{quoted}") };
        // The same statement whatever the value: it cannot hold it.
        let other = if operator == "in" { "source in(y,x)".to_owned() } else { format!("source{operator}y") };
        let plan = planned("page_views", "date", &filter);
        let same = planned("page_views", "date", &other);
        for build in [totals, count, |plan: &Plan, part: &Part| rows(plan, part, true, 0)] {
            let (with, without) = (build(&plan, &plan.parts[0]), build(&same, &same.parts[0]));
            prop_assert_eq!(with.text, without.text);
            prop_assert_eq!(&with.params[3].1, &value);
        }
    }
}
