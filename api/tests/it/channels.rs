//! Channels by Google Analytics 4's rules: three examples and two near misses of each rule, in `channels.tsv`.

use std::collections::BTreeMap;

use proto::report::RunReportRequest;

use crate::rows::{insert, key, views};
use crate::running::Running;
use batch::RollupRows;

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
