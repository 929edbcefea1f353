//! Channels by Google Analytics 4's rules: three examples and two near misses of each rule, in `channels.tsv`.

use std::collections::BTreeMap;

use batch::RollupRows;
use proto::report::RunReportRequest;
use serde_json::{Value, json};

use crate::rows::{insert, key, views};
use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_those_of_the_table() -> anyhow::Result<()> {
    let running = Running::start("2015-05-17T19:00:00Z").await?;
    let property = running.property("Shop", "UTC").await?;
    let text = |name: &str| property[name].as_str().unwrap_or_default().to_owned();
    let (mut hits, mut expected) = (Vec::new(), BTreeMap::new());
    for (n, line) in include_str!("channels.tsv").lines().skip(1).enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, _, _, source, medium, campaign, channel] = fields.as_slice() else {
            anyhow::bail!("seven fields in each line: {line}");
        };
        let page = format!("/{n}");
        let mut key = key(&text("property_id"), "2015-05-17T10:00+00:00[UTC]", &page, source)?;
        (key.medium, key.campaign) = ((*medium).into(), (*campaign).into());
        hits.push(views(key, 1, 1));
        expected.insert(page, ((*channel).to_owned(), line));
    }
    assert_eq!(expected.len(), 100);
    insert(&running.warehouse, 0, &RollupRows { hits, ..RollupRows::default() }).await?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let request = |dimensions: &[&str], filter: &str| RunReportRequest {
        property_id: text("property_id"),
        from: "2015-05-17".into(),
        to: "2015-05-17".into(),
        metrics: words(&["page_views"]),
        dimensions: words(dimensions),
        filter: filter.to_owned(),
        limit: 1_000,
        ..RunReportRequest::default()
    };
    let report = running.report(&text("report_key"), request(&["page_path", "channel"], "")).await?;
    assert_eq!(report.rows.len(), expected.len());
    for row in report.rows {
        let (channel, line) = &expected[&row.dimension_values[0]];
        assert_eq!(&row.dimension_values[1], channel, "{line}");
    }
    let email = request(&["page_path"], "channel == Email");
    let listed = expected.values().filter(|(channel, _)| channel == "Email").count();
    assert_eq!(running.report(&text("report_key"), email).await?.rows.len(), listed);
    Ok(())
}

/// (source, medium, campaign, channel by the rules below), the rules' own order and case included.
const OWN: [(&str, &str, &str, &str); 8] = [
    ("eu.partner.example", "referral", "", "Partners"),
    ("EU.Partner.Example", "Referral", "", "Partners"),
    ("eu.partner.example", "cpc", "", "Paid Other"),
    ("partner.example", "referral", "", "Referral"),
    ("100%_off", "email", "may", "Sale's"),
    ("100xxoff", "email", "may", "Email"),
    ("letter", "email", "winter_2015", "Winter"),
    ("google", "organic", "", "Organic Search"),
];

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_a_propertys_own_go_before_the_default_ones() -> anyhow::Result<()> {
    let running = Running::start("2015-05-17T19:00:00Z").await?;
    let property = running.property("Shop", "UTC").await?;
    let text = |name: &str| property[name].as_str().unwrap_or_default().to_owned();
    let at = |source: &str| key(&text("property_id"), "2015-05-17T10:00+00:00[UTC]", source, source);
    let mut hits = Vec::new();
    for (n, (source, medium, campaign, _)) in OWN.iter().enumerate() {
        let mut key = at(source)?;
        key.page_path = format!("/{n}").into();
        (key.medium, key.campaign) = ((*medium).into(), (*campaign).into());
        hits.push(views(key, 1, 1));
    }
    insert(&running.warehouse, 0, &RollupRows { hits, ..RollupRows::default() }).await?;
    let rules = r#"
        [[channels]]
        name = "Partners"
        source = ["*.partner.example"]
        medium = ["referral", "affiliate"]
        [[channels]]
        name = "Sale's"
        source = ["100%_off"]
        [[channels]]
        name = "Winter"
        campaign = ["winter_*"]
    "#;
    let path = format!("/v1/properties/{}/rules", text("property_id"));
    let body = json!({ "rules": rules }).to_string();
    assert_eq!(running.http("PUT", &path, &running.admin_key, &body).await?.status, 200);
    let report = async |filter: &str| -> anyhow::Result<Vec<(String, String)>> {
        let body = json!({
            "property_id": text("property_id"), "from": "2015-05-17", "to": "2015-05-17", "metrics": ["page_views"],
            "dimensions": ["page_path", "channel"], "filter": filter, "order_by": [{ "field": "page_path" }]
        });
        let answer = running.http("POST", "/v1/reports/run", &text("report_key"), &body.to_string()).await?;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let rows = answer.body["rows"].as_array().cloned().unwrap_or_default();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(|row| (text(row, "page_path"), text(row, "channel"))).collect())
    };
    let expected: Vec<_> =
        OWN.iter().enumerate().map(|(n, own)| (format!("/{n}"), own.3.to_owned())).collect();
    assert_eq!(report("").await?, expected);
    let partners: Vec<_> = expected.iter().filter(|(_, channel)| channel == "Partners").cloned().collect();
    assert_eq!(report("channel == Partners").await?, partners);
    Ok(())
}
