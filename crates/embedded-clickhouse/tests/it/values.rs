//! Values of every kind that the tables use, in through the crate's insert, out through its query and bound parameters.

use anyhow::Result;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::warehouse::Warehouse;

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Record {
    id: u64,
    text: String,
    set: Vec<u64>,
    kind: String,
    day: u16,
    at: u32,
    amount: i64,
}

/// Strings that break a protocol which escapes too little or too much.
fn awkward() -> Vec<String> {
    let strings = [
        "",
        "plain",
        "tab\there",
        "line\nend\r\n",
        "it's \"quoted\" `so`",
        "back\\slash \\n \\t \\'",
        "\u{0}zero\u{0}",
        "Grüße 雪 🦀 \u{202e}",
        "{x:String} ? $1 ; -- /*",
        "trailing\\",
        "\\N",
        "FORMAT RowBinary\n",
    ];
    strings.map(str::to_owned).to_vec()
}

fn records() -> Vec<Record> {
    let of = |(index, text): (usize, String)| {
        let id = u64::try_from(index).unwrap_or_default();
        Record {
            id,
            text,
            set: (0..id).chain([u64::MAX]).collect(),
            kind: format!("kind-{}", id % 3),
            day: 20_000,
            at: 1_700_000_000,
            amount: i64::MIN,
        }
    };
    awkward().into_iter().enumerate().map(of).collect()
}

#[tokio::test]
async fn rows_come_back_as_they_went_in() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client
        .query(
            "CREATE TABLE record (id UInt64, text String, set Array(UInt64), kind LowCardinality(String), day Date, \
             at DateTime('UTC'), amount Int64) ENGINE = MergeTree ORDER BY id",
        )
        .execute()
        .await?;
    let records = records();
    // With the check of types against the table (RowBinaryWithNamesAndTypes), and without.
    let checked = client.clone().with_validation(true);
    let unchecked = client.clone().with_validation(false);
    let (first, second) = records.split_at(records.len() / 2);
    for (client, part) in [(checked, first), (unchecked, second)] {
        let mut insert = client.insert::<Record>("record").await?;
        for record in part {
            insert.write(record).await?;
        }
        insert.end().await?;
        let all: Vec<Record> =
            client.query("SELECT ?fields FROM record WHERE id < ? ORDER BY id").bind(99).fetch_all().await?;
        assert_eq!(all, records[..all.len()]);
    }
    let days: Vec<String> = client
        .query("SELECT concat(toString(day), ' ', toString(at)) FROM record WHERE has(set, 3) AND kind = 'kind-1'")
        .fetch_all()
        .await?;
    assert_eq!(days, ["2024-10-04 2023-11-14 22:13:20"; 3]);
    Ok(())
}

#[tokio::test]
async fn bound_parameters_arrive_as_they_are() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    for text in awkward() {
        let row: (String, u64) = client
            .query("SELECT {text: String}, length({text: String})")
            .param("text", &text)
            .fetch_one()
            .await?;
        assert_eq!(row, (text.clone(), u64::try_from(text.len())?), "{text:?}");
    }
    let texts: Vec<String> = client
        .query("SELECT arrayJoin({texts: Array(String)})")
        .param("texts", awkward())
        .fetch_all()
        .await?;
    assert_eq!(texts, awkward());
    let sum: i64 = client
        .query("SELECT sum(arrayJoin({numbers: Array(Int64)})) + {one: Int64}")
        .param("numbers", vec![1, -2, 3])
        .param("one", 1)
        .fetch_one()
        .await?;
    assert_eq!(sum, 3);
    Ok(())
}
