//! The collect port within TLS: both HTTP versions, certificates that are replaced, handshakes that fail.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use edge_agent::Config;
use hyper::Version;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Certificate, Connection, HOST, http2_over_tls, post, tcp, tls, whole, write};
use crate::edge::{Edge, Site};
use crate::promises::{metrics, sample};

/// 2040-01-01T00:00:00Z and 2041-01-01T00:00:00Z, from `date -u -d … +%s`.
const YEARS_S: [(i32, u64); 2] = [(2040, 2_208_988_800), (2041, 2_240_611_200)];

const FAILURES: &str = "edge_collect_tls_reload_failures_total";
const EXPIRES: &str = "edge_collect_tls_certificate_expires_timestamp_seconds";

fn config(site: &Site, certificate: &Certificate) -> Config {
    let mut config = site.config("127.0.0.1:9");
    config.drain_ms = 0;
    config.collect.tls = Some(write(site, &certificate.cert, &certificate.key));
    config
}

/// Waits until a sample has a value.
async fn wait_for(edge: &Edge, name: &str, value: u64) {
    while sample(&metrics(edge).await, name) != value {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alpn_chooses_the_http_version_over_either_version_of_tls() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let edge = site.start(&config(&site, &certificate)).await;
    assert!(edge.collect.starts_with("https://127.0.0.1:"), "{}", edge.collect);
    for version in [&TLS12, &TLS13] {
        for (alpn, chosen, http) in [
            (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..]), Version::HTTP_2),
            (&[b"http/1.1", b"h2"], Some(b"h2"), Version::HTTP_2),
            (&[b"http/1.1"], Some(b"http/1.1"), Version::HTTP_11),
            (&[], None, Version::HTTP_11),
        ] {
            let stream = tls(&edge, &certificate.cert, alpn, &[version]).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
            let mut connection = match http {
                Version::HTTP_2 => Connection::http2(stream).await,
                _ => Connection::http1(stream).await,
            };
            // A second time on the same connection.
            for _ in 0..2 {
                assert_eq!(connection.page_view(&site).await.unwrap(), (204, http));
            }
        }
    }
    let text = metrics(&edge).await;
    assert_eq!(sample(&text, r#"edge_collect_tls_handshakes_total{result="ok"}"#), 8);
    assert_eq!(sample(&text, EXPIRES), YEARS_S[0].1);
    assert_eq!(edge.admin("/status").await.json()["positions"][0]["acknowledged"], 16);
    assert!(edge.stop().await);
}

/// What `openssl` prints when it is given `input`.
fn openssl(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `scripts/setup.sh test`"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_keys_in_either_form_serve_either_version_of_tls() {
    // The ring library makes no RSA keys.
    let pkcs8 = openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "");
    let pkcs1 = openssl(&["pkey", "-traditional"], &pkcs8);
    let certificate = Certificate::of(&pkcs8, 2040);
    for (form, key) in [("-----BEGIN PRIVATE KEY", &pkcs8), ("-----BEGIN RSA PRIVATE KEY", &pkcs1)] {
        assert!(key.starts_with(form), "{form}");
        let site = Site::new();
        let mut config = config(&site, &certificate);
        config.collect.tls = Some(write(&site, &certificate.cert, key));
        let edge = site.start(&config).await;
        for version in [&TLS12, &TLS13] {
            let stream = tls(&edge, &certificate.cert, &[b"h2"], &[version]).await.unwrap();
            let answer = Connection::http2(stream).await.page_view(&site).await.unwrap();
            assert_eq!(answer, (204, Version::HTTP_2), "{form}");
        }
        assert_eq!(sample(&metrics(&edge).await, EXPIRES), YEARS_S[0].1);
        assert!(edge.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_is_known_by_the_host_name_of_http2() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let mut config = config(&site, &certificate);
    // What is asked for is then the property's own name, whatever id is sent.
    let (own, suffix) = HOST.split_once('.').unwrap();
    config.collect.host_suffix = Some(suffix.to_owned());
    let edge = site.start(&config).await;
    let mut connection = http2_over_tls(&edge, &certificate.cert).await.unwrap();
    let id = site.measurement_id.to_ascii_lowercase();
    for (host, hits) in [(own, 0), (id.as_str(), 1)] {
        let body = r#"{"n":"pageview","u":"https://a.example/","d":"anything.example"}"#;
        let mut request = post("/api/event", whole(body));
        *request.uri_mut() = format!("https://{host}.{suffix}/api/event").parse().unwrap();
        connection.send(request).await.unwrap();
        assert_eq!(edge.admin("/status").await.json()["positions"][0]["acknowledged"], hits, "{host}");
    }
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_none() {
    let site = Site::new();
    let [(old, old_expires), (new, new_expires)] =
        YEARS_S.map(|(year, expires_s)| (Certificate::until(year), expires_s));
    let edge = site.start(&config(&site, &old)).await;
    let mut first = http2_over_tls(&edge, &old.cert).await.unwrap();
    assert_eq!(first.page_view(&site).await.unwrap().0, 204);
    assert_eq!(sample(&metrics(&edge).await, EXPIRES), old_expires);

    write(&site, &new.cert, &new.key);
    wait_for(&edge, EXPIRES, new_expires).await;
    let mut second = http2_over_tls(&edge, &new.cert).await.unwrap();
    assert!(http2_over_tls(&edge, &old.cert).await.is_err());

    for (refused, (cert, key)) in [(&old.cert, &new.key), (&String::new(), &new.key)].into_iter().enumerate()
    {
        write(&site, cert, key);
        wait_for(&edge, FAILURES, refused as u64 + 1).await;
        let mut third = http2_over_tls(&edge, &new.cert).await.unwrap();
        for connection in [&mut first, &mut second, &mut third] {
            assert_eq!(connection.page_view(&site).await.unwrap().0, 204);
        }
    }
    assert_eq!(sample(&metrics(&edge).await, EXPIRES), new_expires);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_fail_are_counted_by_their_reason() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let mut config = config(&site, &certificate);
    config.collect.request_timeout_ms = 300;
    let edge = site.start(&config).await;
    let count = |result: &str| format!(r#"edge_collect_tls_handshakes_total{{result="{result}"}}"#);
    // Says nothing.
    let mut silent = tcp(&edge).await;
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    wait_for(&edge, &count("timeout"), 1).await;
    // Speaks HTTP.
    let mut plain = tcp(&edge).await;
    plain.write_all(b"GET /t.js HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    wait_for(&edge, &count("refused"), 1).await;
    // Goes away.
    drop(tcp(&edge).await);
    wait_for(&edge, &count("closed"), 1).await;
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_a_place_among_the_connections() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let mut config = config(&site, &certificate);
    config.collect.threads = 1;
    config.collect.max_connections = 1;
    let edge = site.start(&config).await;
    let waiting = tcp(&edge).await;
    wait_for(&edge, "edge_collect_connections", 1).await;
    let mut next = Box::pin(http2_over_tls(&edge, &certificate.cert));
    // It is not accepted, so that it says nothing however often it is asked meanwhile.
    for _ in 0..5 {
        assert!(futures::poll!(next.as_mut()).is_pending());
        assert_eq!(sample(&metrics(&edge).await, "edge_collect_connections"), 1);
    }
    drop(waiting);
    assert_eq!(next.await.unwrap().page_view(&site).await.unwrap().0, 204);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_does_not_start_without_a_usable_certificate() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let other = Certificate::until(2040);
    let mut config = config(&site, &certificate);
    for (cert, key, expected) in [
        ("", certificate.key.as_str(), "collect.tls.cert = "),
        (&certificate.cert, "", "collect.tls.key = "),
        (&certificate.cert, &other.key, "cannot be used together"),
    ] {
        config.collect.tls = Some(write(&site, cert, key));
        let said = site.refused(&config).await;
        assert!(said.contains(expected), "{said}");
    }
    let files = config.collect.tls.clone().unwrap();
    std::fs::remove_file(&files.key).unwrap();
    let said = site.refused(&config).await;
    assert!(said.contains(&format!("cannot read collect.tls.key = {:?}", files.key)), "{said}");
}
