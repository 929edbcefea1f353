//! What the collect port answers: success, every error, CORS, addresses.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::{Method, StatusCode};

use crate::edge::Site;
use crate::hub::Hub;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_as_documented() {
    let site = Site::new();
    let edge = site.start(&site.config("127.0.0.1:9")).await;
    let id = &site.measurement_id;
    let good = format!(r#"{{"measurement_id":"{id}","hits":[{{"url":"https://example.com/"}}]}}"#);
    let dated = format!(
        r#"{{"measurement_id":"{id}","hits":[{{"url":"https://example.com/","timestamp":"2015-05-17T10:00:00Z"}}]}}"#
    );
    let ahead = format!(
        r#"{{"measurement_id":"{id}","hits":[{{"url":"https://example.com/","timestamp":"2199-05-17T10:00:00Z"}}]}}"#
    );
    let unknown = r#"{"measurement_id":"M-AAAAAAAAAA","hits":[{"url":"https://example.com/"}]}"#.to_owned();
    let wrong =
        format!(r#"{{"measurement_id":"{id}","hits":[{{"url":"https://example.com/"}},{{"age_ms":-5}}]}}"#);
    let mark = format!(r#"{{"measurement_id":"{id}","hits":[],"import_until":"2015-05-17T10:00:00Z"}}"#);
    let huge = format!("{}{good}", " ".repeat(65_536));
    let bearer = format!("Bearer {}", site.api_secret);
    let secret: [(&str, &str); 1] = [("x-meridian-secret", site.api_secret.as_str())];
    let bearer: [(&str, &str); 1] = [("authorization", bearer.as_str())];
    let bad_secret = [("x-meridian-secret", "sk_wrong")];
    let collect = "/v1/collect";
    for (path, headers, body, expected) in [
        (collect, &[][..], &good, (204, "", "")),
        (collect, &secret[..], &good, (204, "", "")),
        (collect, &secret[..], &dated, (204, "", "")),
        (collect, &bearer[..], &dated, (204, "", "")),
        (collect, &bearer[..], &mark, (204, "", "")),
        (collect, &bad_secret[..], &good, (401, "invalid_secret", "")),
        (collect, &[][..], &dated, (401, "secret_required", "hits[0].timestamp")),
        (collect, &secret[..], &ahead, (400, "invalid_field", "hits[0].timestamp")),
        (collect, &[][..], &mark, (401, "secret_required", "import_until")),
        (collect, &[][..], &unknown, (404, "unknown_measurement_id", "measurement_id")),
        (collect, &[][..], &wrong, (400, "invalid_field", "hits[1].age_ms")),
        (collect, &[][..], &huge, (413, "too_large", "")),
        (
            collect,
            &[("content-encoding", "br")][..],
            &good,
            (415, "unsupported_encoding", "Content-Encoding"),
        ),
        (collect, &[("content-type", "application/x-www-form-urlencoded")][..], &good, (204, "", "")),
        (collect, &[("authorization", "Basic dXNlcjpwYXNz")][..], &good, (204, "", "")),
        ("/v2/collect", &[][..], &good, (404, "not_found", "")),
        ("/v1/pixel.gif", &[][..], &good, (405, "method_not_allowed", "")),
    ] {
        let answer = edge.send(Method::POST, path, headers, body.clone()).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        if expected.0 == 204 {
            assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{path} {body:.120}");
        } else {
            let (status, code, field) = answer.error();
            assert_eq!((status, code.as_str(), field.as_str()), expected, "{path} {body:.120}");
        }
    }
    let status = edge.admin("/status").await.json();
    assert_eq!(status["positions"][0]["acknowledged"], 6);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_send_from_anywhere() {
    let site = Site::new();
    let edge = site.start(&site.config("127.0.0.1:9")).await;
    let preflight = edge.send(Method::OPTIONS, "/v1/collect", &[("origin", "https://a.example")], "").await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    assert!(preflight.headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert!(preflight.headers["access-control-allow-headers"].to_str().unwrap().contains("content-type"));
    assert!(preflight.headers.contains_key("access-control-max-age"));
    let path =
        format!("/v1/pixel.gif?measurement_id={}&url=https%3A%2F%2Fexample.com%2F", site.measurement_id);
    let pixel = edge.send(Method::GET, &path, &[], "").await;
    assert_eq!((pixel.status, &pixel.body[..6]), (StatusCode::OK, &b"GIF89a"[..]));
    assert_eq!(
        (pixel.headers["content-type"].as_bytes(), pixel.headers["cache-control"].as_bytes()),
        (&b"image/gif"[..], &b"no-store"[..])
    );
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_who_the_trusted_proxy_says_and_its_address_is_cut() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.collect.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = site.start(&config).await;
    let body = format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/"}}]}}"#,
        site.measurement_id
    );
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    let gzip = encoder.finish().unwrap();
    let agent = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");
    for forwarded in ["203.0.113.7", "1.2.3.4, 203.0.113.9", "2001:db8:1:2::3"] {
        let headers = [agent, ("x-forwarded-for", forwarded), ("content-encoding", "gzip")];
        let answer = edge.send(Method::POST, "/v1/collect", &headers, gzip.clone()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let given = format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/","ip":"203.0.113.7","user_agent":"Mozilla/5.0 (X11; Linux) Firefox/1"}}]}}"#,
        site.measurement_id
    );
    let secret = [("x-meridian-secret", site.api_secret.as_str())];
    let answer = edge.send(Method::POST, "/v1/collect", &secret, given).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    hub.wait_until(|hub| hub.hits().len() == 4).await;
    let hits = hub.hits();
    let cut: Vec<&[u8]> = hits.iter().map(|hit| hit.truncated_ip.as_slice()).collect();
    assert_eq!(cut, [&[203, 0, 113][..], &[203, 0, 113], &[0x20, 1, 0xd, 0xb8, 0, 1], &[203, 0, 113]]);
    assert_ne!(hits[0].visitor_id, hits[1].visitor_id);
    assert_eq!(hits[0].visitor_id, hits[3].visitor_id);
    assert_eq!(hits[0].user_agent, "Mozilla/5.0 (X11; Linux) Firefox/1");
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_of_a_browser_are_kept_and_those_of_a_server_are_not() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    let headers = [
        ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1"),
        ("sec-ch-ua", r#""Chromium";v="142", "Not_A Brand";v="99", "Brave";v="142""#),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", r#""Linux""#),
        ("sec-purpose", "prefetch;prerender"),
        ("x-meridian-secret", &site.api_secret),
    ];
    let page = r#""url":"https://example.com/""#;
    let hits = [
        String::new(),
        r#","client_hints":{"platform":"Windows","platform_version":"15.0.0"}"#.to_owned(),
        r#","user_agent":"Mozilla/5.0 (X11; Linux) Firefox/1""#.to_owned(),
    ];
    let hits: Vec<String> = hits.iter().map(|more| format!("{{{page}{more}}}")).collect();
    let body = format!(r#"{{"measurement_id":"{}","hits":[{}]}}"#, site.measurement_id, hits.join(","));
    let answer = edge.send(Method::POST, "/v1/collect", &headers, body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    hub.wait_until(|hub| hub.hits().len() == 3).await;
    let hits = hub.hits();
    let shown = |n: usize| {
        let hints = hits[n].client_hints.as_ref();
        hints.map(|hints| {
            (hints.brands.as_str(), hints.platform.as_str(), hints.platform_version.as_str(), hints.mobile)
        })
    };
    assert_eq!(shown(0), Some(("Chromium 142, Brave 142", "Linux", "", Some(false))));
    assert_eq!(shown(1), Some(("Chromium 142, Brave 142", "Windows", "15.0.0", Some(false))));
    assert_eq!(shown(2), None);
    assert_eq!([hits[0].prefetch, hits[1].prefetch, hits[2].prefetch], [true, true, false]);
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_other_products_are_refused_with_the_way_out() {
    let site = Site::new();
    let edge = site.start(&site.config("127.0.0.1:9")).await;
    for (path, way) in [
        ("/matomo.js", "setTrackerUrl"),
        ("/js/container_aBcD1234.js", "Matomo URL"),
        ("/script.js", "data-host-url"),
        ("/js/script.js", "data-api"),
        ("/gtag/js?id=G-TEST123", "server_container_url"),
        ("/analytics.js", "transportUrl"),
        ("/nothing.js", "/v1/collect"),
    ] {
        let answer = edge.send(Method::GET, path, &[], "").await;
        assert_eq!(answer.error(), (404, "not_found".into(), String::new()), "{path}");
        let error = answer.json()["error"].clone();
        assert_eq!(error["value"].as_str(), path.split('?').next(), "{path}");
        assert!(error["message"].as_str().unwrap().contains(way), "{path}: {error}");
    }
    assert!(edge.stop().await);
}
