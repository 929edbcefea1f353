//! Queries: settings for one statement, errors as a server tells them, formats, parallel clients.

use anyhow::Result;
use clickhouse::error::Error;

use crate::warehouse::{Warehouse, insert_numbers};

#[tokio::test]
async fn settings_hold_for_exactly_one_statement() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // One thread, so that the next statement surely meets whatever the last one left.
    let warehouse = Warehouse::start(directory.path(), "max_connections = 1")?;
    let client = warehouse.client();
    let threads = "SELECT toString(getSetting('max_threads'))";
    let usual: String = client.query(threads).fetch_one().await?;
    let set: String = client.query(threads).with_setting("max_threads", "7").fetch_one().await?;
    let after: String = client.query(threads).fetch_one().await?;
    assert_eq!((set.as_str(), &after), ("7", &usual));
    client.query("SET max_threads = 9").execute().await?;
    client.query("CREATE DATABASE other").execute().await?;
    client.query("USE other").execute().await?;
    let after: (String, String) =
        client.query("SELECT toString(getSetting('max_threads')), currentDatabase()").fetch_one().await?;
    assert_eq!(after, (usual, "default".to_owned()));
    let there: String =
        client.clone().with_database("other").query("SELECT currentDatabase()").fetch_one().await?;
    assert_eq!(there, "other");
    Ok(())
}

#[tokio::test]
async fn table_filters_are_honoured() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    for sql in [
        "CREATE DATABASE meridian",
        "CREATE TABLE meridian.t (property String, n UInt64) ENGINE = MergeTree ORDER BY n",
        "INSERT INTO meridian.t VALUES ('p_a', 1), ('p_a', 2), ('p_b', 4), ('it''s', 8)",
    ] {
        client.query(sql).execute().await?;
    }
    let client = client.with_database("meridian");
    for (filter, expected) in [("p_a", 3), ("p_b", 4), ("it\\\\\\'s", 8), ("p_c", 0)] {
        let sum: u64 = client
            .query("SELECT sum(n) FROM t")
            .with_setting(
                "additional_table_filters",
                format!("{{'meridian.t': 'property = \\'{filter}\\''}}"),
            )
            .fetch_one()
            .await?;
        assert_eq!(sum, expected, "{filter}");
    }
    let sum: u64 = client.query("SELECT sum(n) FROM t").fetch_one().await?;
    assert_eq!(sum, 15);
    Ok(())
}

#[tokio::test]
async fn errors_have_the_code_and_status_of_a_server() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let cases = [
        ("SELECT * FROM missing", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 SETTINGS no_such_setting = 1", 404, 115),
        ("SELECT {a: UInt8}", 500, 456),
        ("", 400, 62),
    ];
    for (sql, status, code) in cases {
        let answer = warehouse.post("/", sql.as_bytes())?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sql}: {answer}");
        assert!(answer.contains(&format!("x-clickhouse-exception-code: {code}\r\n")), "{sql}: {answer}");
        assert!(answer.contains(&format!("Code: {code}. DB::Exception: ")), "{sql}: {answer}");
    }
    let error = warehouse.client().query("SELECT * FROM missing").fetch_one::<u8>().await;
    assert!(
        matches!(&error, Err(Error::BadResponse(text)) if text.starts_with("Code: 60. DB::Exception: ")),
        "{error:?}"
    );
    let error = warehouse.client().with_database("missing").query("SELECT 1").fetch_one::<u8>().await;
    assert!(
        matches!(&error, Err(Error::BadResponse(text)) if text.starts_with("Code: 81. DB::Exception: ")),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn failed_query_leaves_nothing_for_the_next() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let warehouse = Warehouse::start(directory.path(), "max_connections = 1")?;
    let half = "SELECT throwIf(number = 3) FROM numbers(10) SETTINGS max_block_size = 1";
    assert!(warehouse.post("/", half.as_bytes())?.contains("Code: 395. "));
    let answer = warehouse.post("/", b"SELECT 42")?;
    assert!(answer.ends_with("\r\n\r\n42\n"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn formats_and_compression_are_those_asked_for() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    assert!(warehouse.get("/ping")?.ends_with("\r\n\r\nOk.\n"));
    assert!(
        warehouse
            .get("/?query=SELECT%201%20AS%20x&default_format=JSONEachRow")?
            .ends_with("\r\n\r\n{\"x\":1}\n")
    );
    assert!(
        warehouse
            .get("/?query=SELECT%201%20AS%20x%20FORMAT%20JSONCompactEachRow")?
            .ends_with("\r\n\r\n[1]\n")
    );
    assert!(
        warehouse.get("/?query=CREATE%20TABLE%20t%20(a%20Int8)%20ENGINE%3DMemory")?.contains("Code: 164. ")
    );
    let lines = warehouse
        .client()
        .query("SELECT number AS n, 'é' AS s FROM numbers(2)")
        .fetch_bytes("JSONEachRow")?
        .collect()
        .await?;
    let text = String::from_utf8(lines.to_vec())?;
    assert_eq!(text.lines().count(), 2, "{text}");
    let compressed = warehouse.post("/?compress=1", b"SELECT 'the same words, the same words' FORMAT TSV")?;
    assert!(
        compressed.starts_with("HTTP/1.1 200") && !compressed.contains("the same words, the same words\n"),
        "{compressed}"
    );
    Ok(())
}

#[tokio::test]
async fn parallel_clients_get_their_own_answers() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0_u64..40 {
        let client = client.clone();
        tasks.spawn(async move {
            insert_numbers(&client, number..number + 1).await?;
            let got: u64 = client
                .query("SELECT {n: UInt64} + getSetting('max_block_size')")
                .param("n", number)
                .with_setting("max_block_size", (1000 + number).to_string())
                .fetch_one()
                .await?;
            anyhow::ensure!(got == 1000 + 2 * number, "{got} for {number}");
            Ok(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    let (rows, sum): (u64, u64) = client.query("SELECT count(), sum(a) FROM t").fetch_one().await?;
    assert_eq!((rows, sum), (40, 780));
    client.query("OPTIMIZE TABLE t FINAL").execute().await?;
    let parts: u64 =
        client.query("SELECT count() FROM system.parts WHERE table = 't' AND active").fetch_one().await?;
    assert_eq!(parts, 1);
    Ok(())
}
