//! What an INSERT promises: whole or not at all, once per token, and in force exactly where it should be.

use anyhow::Result;
use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};

use crate::warehouse::{Number, Warehouse};

#[derive(Row, Serialize, Deserialize)]
struct Visit {
    minute: u32,
    visitors: Vec<u64>,
}

async fn tables(client: &Client) -> Result<()> {
    for sql in [
        "CREATE TABLE minute (minute UInt32, visitors Array(UInt64)) ENGINE = MergeTree ORDER BY minute \
         SETTINGS non_replicated_deduplication_window = 100",
        "CREATE TABLE hour (hour UInt32, visitors AggregateFunction(uniqCombined64, UInt64), rows SimpleAggregateFunction(sum, UInt64)) \
         ENGINE = AggregatingMergeTree ORDER BY hour SETTINGS non_replicated_deduplication_window = 100",
        "CREATE MATERIALIZED VIEW hour_view TO hour AS SELECT intDiv(minute, 60) AS hour, \
         uniqCombined64ArrayState(visitors) AS visitors, count() AS rows FROM minute GROUP BY hour",
    ] {
        client.query(sql).execute().await?;
    }
    Ok(())
}

async fn insert(client: &Client, token: &str, minutes: std::ops::Range<u32>) -> Result<()> {
    let mut insert = client
        .insert::<Visit>("minute")
        .await?
        .with_setting("insert_deduplication_token", token)
        .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
        .with_setting("async_insert", "0");
    for minute in minutes {
        insert.write(&Visit { minute, visitors: vec![u64::from(minute % 7), u64::from(minute)] }).await?;
    }
    Ok(insert.end().await?)
}

async fn counts(client: &Client) -> Result<(u64, u64, u64)> {
    let minutes: u64 = client.query("SELECT count() FROM minute").fetch_one().await?;
    let (rows, visitors): (u64, u64) =
        client.query("SELECT sum(rows), uniqCombined64Merge(visitors) FROM hour").fetch_one().await?;
    Ok((minutes, rows, visitors))
}

#[tokio::test]
async fn repeated_token_is_dropped_in_table_and_view() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    tables(&client).await?;
    insert(&client, "a", 0..200).await?;
    assert_eq!(counts(&client).await?, (200, 200, 200));
    insert(&client, "a", 0..200).await?;
    // The token wins over the data.
    insert(&client, "a", 500..600).await?;
    assert_eq!(counts(&client).await?, (200, 200, 200));
    insert(&client, "b", 200..300).await?;
    assert_eq!(counts(&client).await?, (300, 300, 300));
    // A token is in force for its own insert only: without one, new data are taken.
    let mut plain = client.insert::<Visit>("minute").await?;
    plain.write(&Visit { minute: 1000, visitors: vec![5000] }).await?;
    plain.end().await?;
    assert_eq!(counts(&client).await?, (301, 301, 301));
    Ok(())
}

#[tokio::test]
async fn insert_of_a_whole_plan_is_one_block() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    tables(&client).await?;
    // The crate sends this in many chunks; a token only recognises a repeat if the engine makes the same blocks of it.
    for _ in 0..2 {
        insert(&client, "plan", 0..100_000).await?;
        let rows: Vec<u64> = client
            .query("SELECT rows FROM system.parts WHERE table = 'minute' AND active")
            .fetch_all()
            .await?;
        assert_eq!(rows, [100_000]);
    }
    let (minutes, rows, _) = counts(&client).await?;
    assert_eq!((minutes, rows), (100_000, 100_000));
    Ok(())
}

#[tokio::test]
async fn truncated_body_leaves_nothing() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    let query = "/?query=INSERT%20INTO%20t%20FORMAT%20RowBinary";
    let eight = "\u{1}\0\0\0\0\0\0\0";
    // Whole rows have arrived, but not all that was announced.
    let cut_length = format!("POST {query} HTTP/1.1\r\nHost: x\r\nContent-Length: 80\r\n\r\n{eight}{eight}");
    let cut_chunks =
        format!("POST {query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{eight}\r\n");
    for request in [cut_length, cut_chunks] {
        let answer = warehouse.cut(request.as_bytes())?;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // All that was announced has arrived, but it ends within a row, or within a compressed block.
    assert!(warehouse.post(query, format!("{eight}\u{1}").as_bytes())?.contains("Code: 33. "));
    assert!(warehouse.post(&format!("{query}&decompress=1"), &[0; 30])?.contains("(CANNOT_DECOMPRESS)"));
    let mut dropped = client.insert::<Number>("t").await?;
    dropped.write(&Number { a: 1 }).await?;
    drop(dropped);
    let rows: u64 = client.query("SELECT count() FROM t").fetch_one().await?;
    assert_eq!(rows, 0);
    Ok(())
}

#[tokio::test]
async fn text_formats_are_taken_from_the_body_and_the_parameter() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client.query("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a").execute().await?;
    client.query("INSERT INTO t VALUES (1, 'FORMAT CSV;')").execute().await?;
    let sent = [
        ("/", "INSERT INTO t FORMAT JSONEachRow\n{\"a\":2,\"b\":\"x\"}\n{\"a\":3,\"b\":\"y;z\"}"),
        ("/?query=INSERT%20INTO%20t%20VALUES", "(4, 'v'), (5, 'w')"),
        ("/?query=INSERT%20INTO%20t%20FORMAT%20TSV", "6\ta\\tb\n"),
        ("/", "INSERT INTO t SELECT a + 10, b FROM t WHERE a = 1"),
    ];
    for (path, body) in sent {
        let answer = warehouse.post(path, body.as_bytes())?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let rows: Vec<(u64, String)> = client.query("SELECT a, b FROM t ORDER BY a").fetch_all().await?;
    let expected =
        [(1, "FORMAT CSV;"), (2, "x"), (3, "y;z"), (4, "v"), (5, "w"), (6, "a\tb"), (11, "FORMAT CSV;")];
    assert_eq!(rows, expected.map(|(a, b)| (a, b.to_owned())));
    Ok(())
}

#[tokio::test]
async fn answer_counts_what_was_written() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    tables(&warehouse.client()).await?;
    let answer =
        warehouse.post("/?query=INSERT%20INTO%20minute%20FORMAT%20TSV&query_id=q-1", b"1\t[1]\n2\t[2]\n")?;
    assert!(answer.contains("x-clickhouse-query-id: q-1"), "{answer}");
    // Two rows in the table, one in the view's target.
    assert!(answer.contains("\"written_rows\":\"3\""), "{answer}");
    Ok(())
}
