//! Every pair of metric and dimension, the choice of table, and requests that are refused by name.

use property::{Rulebook, VisitorKey};

use super::*;

pub(crate) fn property(zone: &str) -> Arc<Property> {
    Arc::new(Property {
        property_id: "p_aaaaaaaaaaaa".into(),
        measurement_id: "M-AAAAAAAAAA".into(),
        hostnames: vec![],
        created_at: jiff::Timestamp::UNIX_EPOCH,
        api_secrets: Arc::from([]),
        visitor_key: VisitorKey::random().unwrap(),
        rules: Rulebook::try_from(vec![hit::Rules::first(zone)]).unwrap(),
        tracker: None,
        data_region: String::new(),
        quota: property::Quota::default(),
    })
}

pub(crate) fn request(metrics: &str, dimensions: &str, filter: &str) -> RunReportRequest {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    RunReportRequest {
        property_id: "p_aaaaaaaaaaaa".into(),
        from: "2015-05-17".into(),
        to: "2015-05-20".into(),
        metrics: words(metrics),
        dimensions: words(dimensions),
        filter: filter.into(),
        ..RunReportRequest::default()
    }
}

fn planned(request: &RunReportRequest) -> Result<Plan, String> {
    plan(request, property("UTC"), 0).map_err(|refusal| refusal.message)
}

#[test]
fn every_pair_is_planned_or_refused_by_both_names() {
    let mut refused = 0;
    for metric in Metric::all() {
        // Money has to be of one currency, or apart by it.
        let euros = if metric.is_money() { "currency == EUR and " } else { "" };
        for dimension in Dimension::ALL {
            let of_one = euros.strip_suffix(" and ").unwrap_or(euros);
            let by_dimension = planned(&request(metric.name(), dimension.name(), of_one));
            let by_filter =
                planned(&request(metric.name(), "", &format!("{euros}{} == x", dimension.name())));
            for answer in [by_dimension, by_filter] {
                match answer {
                    Ok(plan) => assert_eq!(plan.parts.len(), 1),
                    Err(message) => {
                        refused += 1;
                        assert!(message.contains(metric.name()) && message.contains(dimension.name()));
                        assert!(message.contains("use "), "{message}");
                    }
                }
            }
        }
    }
    // Four metrics of sessions by nine dimensions of hits, twelve of hits, 18 of values and five of items by two of sessions, those of
    // values by eight of hits, those of items by the event and the title; all but those of items by five of items; these 39 by the reason
    // of refusals, and refused hits by all but that one and three of time; twice each.
    let of_items = 5 * 2 + (4 + 12 + 18) * 5;
    assert_eq!(refused, 2 * (4 * 9 + (12 + 18 + 5) * 2 + 18 * 8 + of_items + 39 + (38 - 4)));
}

#[test]
fn readme_shows_the_matrix() {
    let readme = include_str!("../../README.md");
    let kinds = |metric: Metric| match metric {
        Metric::Sessions | Metric::EngagedSessions | Metric::BounceRate | Metric::SessionDuration => 1,
        Metric::Percentile(..) => 2,
        metric if metric.is_of_items() => 3,
        Metric::RefusedHits => 4,
        _ => 0,
    };
    for dimension in Dimension::ALL {
        let mut cells = [""; 5];
        for metric in Metric::all() {
            let cell = if metric.refuses(dimension).is_none() { "yes" } else { "–" };
            let of_kind = &mut cells[kinds(metric)];
            assert!([cell, ""].contains(of_kind), "{} is not like its kind", metric.name());
            *of_kind = cell;
        }
        let line = format!("| `{}` | {} |", dimension.name(), cells.join(" | "));
        assert!(readme.contains(&line), "missing in api/README.md: {line}");
    }
}

#[test]
fn narrowest_table_answers() {
    use Table::{Hits, Items, Refusals, Sessions, Totals, Values};
    for (metrics, dimensions, filter, tables) in [
        ("visitors sessions", "", "", vec![Totals]),
        ("page_views", "date hour date_hour traffic_class", "hour in(1,2)", vec![Totals]),
        ("page_views", "date", "source==google", vec![Hits]),
        ("page_views", "page_path", "", vec![Hits]),
        ("bounce_rate", "date", "", vec![Sessions]),
        ("sessions", "date", "", vec![Totals]),
        ("sessions", "entry_page", "", vec![Sessions]),
        ("sessions", "date", "exit_page==/a", vec![Sessions]),
        ("sessions bounce_rate", "date", "", vec![Totals, Sessions]),
        ("bounce_rate page_views", "source", "", vec![Sessions, Hits]),
        ("key_events", "date", "", vec![Totals]),
        ("revenue", "date", "currency==EUR", vec![Hits]),
        ("custom_metric_1 visitors", "date", "", vec![Hits]),
        ("custom_metric_5 bounce_rate", "", "", vec![Hits, Sessions]),
        ("lcp_p75 cls_p75", "date", "", vec![Values]),
        ("items_viewed items_purchased", "date", "", vec![Items]),
        ("item_revenue", "item_name currency", "custom_1==a", vec![Items]),
        ("revenue item_revenue", "currency", "", vec![Hits, Items]),
        ("lcp_p75 page_views bounce_rate", "date", "", vec![Values, Totals, Sessions]),
        ("refused_hits", "refusal_reason", "refusal_reason!=kind", vec![Refusals]),
        ("events refused_hits lcp_p75", "date_hour", "", vec![Totals, Refusals, Values]),
    ] {
        let plan = planned(&request(metrics, dimensions, filter)).unwrap();
        let found: Vec<_> = plan.parts.iter().map(|part| part.table).collect();
        assert_eq!(found, tables, "{metrics} by {dimensions} where {filter}");
    }
}

#[test]
fn money_of_different_currencies_is_not_added_up() {
    let refused = planned(&request("visitors revenue", "date", "source==a")).unwrap_err();
    assert!(refused.contains("revenue") && refused.contains("currency==EUR"), "{refused}");
    for (dimensions, filter, has_total) in [
        ("currency", "", false),
        ("date currency", "currency!=USD", false),
        ("currency", "currency==EUR", true),
        ("date", "source==a and currency==EUR", true),
    ] {
        let plan = planned(&request("revenue", dimensions, filter)).unwrap();
        assert_eq!(plan.is_of_one_currency, has_total, "{dimensions} where {filter}");
    }
    for filter in [
        "currency!=USD",
        "currency in(EUR,USD)",
        "currency=~.",
        "currency==EUR or country==DE",
        "country==DE",
    ] {
        assert!(planned(&request("revenue", "date", filter)).is_err(), "{filter}");
    }
}

#[test]
fn only_people_count_unless_the_class_is_named() {
    for (dimensions, filter, humans_only) in [
        ("date", "source==a", true),
        ("traffic_class", "", false),
        ("", "source==a or (date==b and traffic_class!=human)", false),
    ] {
        assert_eq!(planned(&request("events", dimensions, filter)).unwrap().humans_only, humans_only);
    }
}

#[test]
fn order_is_the_default_or_the_one_asked_for_and_ends_with_every_dimension() {
    let shown = |request: &RunReportRequest| {
        let plan = planned(request).unwrap();
        let name = |key: &OrderKey| match key.field {
            OrderField::Metric(place) => plan.metrics[place].name(),
            OrderField::Dimension(place) => plan.dimensions[place].name(),
        };
        let keys =
            plan.order.iter().map(|key| format!("{}{}", if key.descending { "-" } else { "" }, name(key)));
        keys.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&request("page_views", "source date medium", "")), "date source medium");
    assert_eq!(shown(&request("page_views visitors", "source medium", "")), "-page_views source medium");
    let mut asked = request("page_views visitors", "source medium", "");
    asked.order_by = vec![
        OrderBy { field: "visitors".into(), descending: false },
        OrderBy { field: "medium".into(), descending: true },
    ];
    assert_eq!(shown(&asked), "visitors -medium source");
}

#[test]
fn bad_requests_are_refused_by_field() {
    let good = || request("page_views", "date", "");
    let order = |field: &str| vec![OrderBy { field: field.into(), descending: true }];
    for (bad, said) in [
        (request("", "date", ""), "metrics is \"\""),
        (
            request("page_view", "", ""),
            "metrics[0] is \"page_view\", which is not known; use one of visitors",
        ),
        (request("events events", "", ""), "metrics[1] is \"events\", which is there already"),
        (request("events", "date date", ""), "dimensions[1] is \"date\""),
        (request("events", "dates", ""), "dimensions[0] is \"dates\""),
        (request("events", "date date date date date date date date date date", ""), "dimensions is \"10\""),
        (request("events", "", "sourc==a"), "filter is \"sourc==a\", which is wrong at character 1"),
        (request("sessions events", "page_path", ""), "dimensions is \"page_path\", which cannot be had"),
        (
            request("refused_hits", "date traffic_class", ""),
            "dimensions is \"traffic_class\", which cannot be had together with the metric refused_hits",
        ),
        (
            request("refused_hits events", "refusal_reason", ""),
            "dimensions is \"refusal_reason\", which cannot be had together with the metric events",
        ),
        (request("events", "", "source==a and exit_page==b"), "filter is \"exit_page\", which cannot be had"),
        (RunReportRequest { from: "x".into(), ..good() }, "from is \"x\""),
        (RunReportRequest { to: String::new(), ..good() }, "to is \"\""),
        (RunReportRequest { limit: 250_001, ..good() }, "limit is \"250001\""),
        (RunReportRequest { order_by: order("source"), ..good() }, "order_by[0].field is \"source\""),
    ] {
        let message = planned(&bad).unwrap_err();
        assert!(message.starts_with(said), "{message}");
    }
    assert_eq!(planned(&good()).unwrap().limit, LIMIT_DEFAULT);
}
