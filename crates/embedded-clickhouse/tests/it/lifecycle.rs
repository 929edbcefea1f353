//! Start, stop, and what survives a kill.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::warehouse::{Warehouse, command, insert_numbers};

#[tokio::test]
async fn acknowledged_insert_survives_kill() -> Result<()> {
    let (directory, mut warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client
        .query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
        .execute()
        .await?;
    for round in 1..=3_u64 {
        insert_numbers(&warehouse.client(), 0..1000).await?;
        warehouse.kill()?;
        warehouse = Warehouse::start(directory.path(), "")?;
        let rows: u64 = warehouse.client().query("SELECT count() FROM t").fetch_one().await?;
        assert_eq!(rows, 1000 * round);
    }
    Ok(())
}

#[tokio::test]
async fn parts_are_merged_in_the_background() -> Result<()> {
    let (_directory, warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    for number in 0..40_u64 {
        insert_numbers(&client, number..number + 1).await?;
    }
    // Ends because nothing but merges changes the number of parts.
    let parts = "SELECT count() FROM system.parts WHERE table = 't' AND active";
    while client.query(parts).fetch_one::<u64>().await? >= 40 {
        tokio::task::yield_now().await;
    }
    let rows: u64 = client.query("SELECT count() FROM t").fetch_one().await?;
    assert_eq!(rows, 40);
    Ok(())
}

#[tokio::test]
async fn running_statement_ends_before_the_process_does() -> Result<()> {
    let (directory, mut warehouse) = Warehouse::fresh()?;
    let client = warehouse.client();
    client.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").execute().await?;
    assert!(warehouse.admin("/readyz")?.starts_with("HTTP/1.1 200"));
    let slow = tokio::spawn({
        let client = client.clone();
        async move {
            client.query("INSERT INTO t SELECT number + sleepEachRow(0.5) FROM numbers(4)").execute().await
        }
    });
    let running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'";
    while client.query(running).fetch_one::<u64>().await? == 0 {
        tokio::task::yield_now().await;
    }
    warehouse.signal(Signal::SIGTERM)?;
    slow.await??;
    assert!(warehouse.wait()?.success());
    let warehouse = Warehouse::start(directory.path(), "")?;
    let rows: u64 = warehouse.client().query("SELECT count() FROM t").fetch_one().await?;
    assert_eq!(rows, 4);
    Ok(())
}

#[test]
fn second_process_on_the_same_directory_is_refused() -> Result<()> {
    let (directory, _warehouse) = Warehouse::fresh()?;
    let output = command(directory.path(), "lock_timeout_ms = 1")?.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is held by another embedded-clickhouse"), "{text}");
    Ok(())
}

#[test]
fn process_dies_with_its_parent() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let warehouse = command(directory.path(), "")?;
    let mut parent = Command::new("sh")
        .args(["-c", "\"$@\" & wait", "sh"])
        .arg(warehouse.get_program())
        .args(warehouse.get_args())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = String::new();
    BufReader::new(parent.stdout.take().context("no stdout")?).read_line(&mut ready)?;
    assert!(ready.starts_with("{\"event\":\"ready\""), "{ready}");
    parent.kill()?;
    parent.wait()?;
    // The directory is free only if the orphan is gone.
    Warehouse::start(directory.path(), "").map(drop)
}

#[test]
fn missing_library_is_named() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("config.toml");
    let data_dir = directory.path().join("warehouse");
    std::fs::write(&config, format!("data_dir = {data_dir:?}\nlibrary = \"/no/such/libchdb.so\"\n"))?;
    let output =
        Command::new(env!("CARGO_BIN_EXE_embedded-clickhouse")).arg("--config").arg(&config).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("/no/such/libchdb.so does not exist: run `make setup`"), "{text}");
    Ok(())
}
