//! Limits hold on the wire and after decompression.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hit::limits;
use http_body_util::Full;

use super::*;

async fn outcome(headers: &[(&str, &str)], body: Vec<u8>) -> Result<usize, &'static str> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let read = read(&map, Full::new(Bytes::from(body)), limits::REQUEST_BYTES, Duration::from_secs(60)).await;
    read.map(|bytes| bytes.len()).map_err(|refusal| refusal.code.as_str())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_are_limited_before_and_after_gzip() {
    let limit = limits::REQUEST_BYTES;
    assert_eq!(outcome(&[], vec![b' '; limit]).await, Ok(limit));
    assert_eq!(outcome(&[], vec![b' '; limit + 1]).await, Err("too_large"));
    let encoding = [("content-encoding", "gzip")];
    assert_eq!(outcome(&encoding, gzip(&vec![b' '; limit])).await, Ok(limit));
    assert_eq!(outcome(&encoding, gzip(&vec![b' '; limit + 1])).await, Err("too_large"));
    assert_eq!(outcome(&encoding, gzip(&vec![b' '; 50 << 20])).await, Err("too_large"));
    assert_eq!(outcome(&encoding, b"plain".to_vec()).await, Err("unsupported_encoding"));
    assert_eq!(outcome(&[("content-encoding", "br")], vec![]).await, Err("unsupported_encoding"));
}

#[tokio::test]
async fn content_type_does_not_matter() {
    for media_type in ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"] {
        assert_eq!(outcome(&[("content-type", media_type)], b"{}".to_vec()).await, Ok(2), "{media_type}");
    }
}
