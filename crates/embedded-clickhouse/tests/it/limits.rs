//! What happens at each limit of the configuration.

use anyhow::Result;

use crate::warehouse::Warehouse;

#[tokio::test]
async fn long_bodies_and_results_are_refused() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let warehouse = Warehouse::start(
        directory.path(),
        "max_body_bytes = 1000\nmax_result_bytes = 100000\nmax_buffered_bytes = 150000",
    )?;
    let long = warehouse.post("/", " ".repeat(1001).as_bytes())?;
    assert!(long.starts_with("HTTP/1.1 413 ") && long.contains("max_body_bytes = 1000"), "{long}");
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n{}\r\n0\r\n\r\n",
        " ".repeat(2000)
    );
    assert!(warehouse.raw(chunked.as_bytes())?.starts_with("HTTP/1.1 413 "));
    for sql in
        ["SELECT number FROM numbers(100000)", "SELECT repeat('x', 200000) SETTINGS max_result_bytes = 0"]
    {
        let answer = warehouse.post("/", sql.as_bytes())?;
        assert!(answer.contains("x-clickhouse-exception-code: 396\r\n"), "{answer}");
    }
    // Results give their memory back once they are sent: five of 90 kB pass a budget of 150 kB one after the other.
    for _ in 0..5 {
        assert!(warehouse.post("/", b"SELECT repeat('x', 90000)")?.starts_with("HTTP/1.1 200 "));
    }
    Ok(())
}

#[tokio::test]
async fn memory_is_bounded_per_statement_and_in_all() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let warehouse = Warehouse::start(
        directory.path(),
        "max_query_memory_bytes = 50000000\nmax_server_memory_bytes = 100000000\nmark_cache_bytes = 1000000",
    )?;
    let much = "SELECT length(groupArray(number)) FROM numbers(100000000)";
    for settings in ["", " SETTINGS max_memory_usage = 0"] {
        let answer = warehouse.post("/", format!("{much}{settings}").as_bytes())?;
        assert!(answer.contains("x-clickhouse-exception-code: 241\r\n"), "{answer}");
    }
    assert!(warehouse.post("/", b"SELECT 1")?.ends_with("\r\n\r\n1\n"));
    Ok(())
}

#[tokio::test]
async fn full_queue_answers_503() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let warehouse = Warehouse::start(directory.path(), "max_connections = 1\nmax_queue = 1")?;
    // Two requests hold both places for as long as their bodies do not end.
    let address = warehouse.http.trim_start_matches("http://");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = std::net::TcpStream::connect(address)?;
        std::io::Write::write_all(
            &mut stream,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nSELE",
        )?;
        held.push(stream);
    }
    // They are inside once the status says so.
    while !warehouse.admin("/status")?.contains("\"length\":2") {
        tokio::task::yield_now().await;
    }
    assert!(warehouse.admin("/status")?.contains("\"stores\":{\"tables\":"));
    let answer = warehouse.post("/", b"SELECT 1")?;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("Code: 745. "), "{answer}");
    for stream in &mut held {
        std::io::Write::write_all(stream, b"CT 7")?;
        let mut start = [0; 12];
        std::io::Read::read_exact(stream, &mut start)?;
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    Ok(())
}
