//! The edge serves the tracker: one script for all, one with a property's settings, one that never changes.

use std::io::Read;

use configuration::fixture;
use flate2::read::GzDecoder;
use hyper::{Method, StatusCode};
use property::RulesFile;

use crate::configure::Source;
use crate::edge::{Answer, Edge, Site};

async fn get(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Answer {
    edge.send(Method::GET, path, headers, "").await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_served_with_settings_tags_and_lives() {
    let site = Site::new();
    let folder = site.path().join("tracker");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("t.js"), "small({/*meridian-settings*/})").unwrap();
    std::fs::write(folder.join("t.full.js"), "full({/*meridian-settings*/})").unwrap();
    let mut config = site.config("127.0.0.1:9");
    config.collect.tracker_dir = Some(folder);
    let edge = site.start(&config).await;

    let own = format!("/t/{}.js", site.measurement_id);
    let settings = format!(r#"small({{"measurement_id":"{}"}})"#, site.measurement_id);
    for (path, expected) in [("/t.js", "small({})"), ("/t.full.js", "full({})"), (&own, settings.as_str())] {
        let answer = get(&edge, path, &[]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, expected.as_bytes()), "{path}");
        assert_eq!(header(&answer, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=3600, stale-while-revalidate=86400");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        let tag = header(&answer, "etag").to_owned();
        let again = get(&edge, path, &[("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        let packed = get(&edge, path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!((header(&packed, "content-encoding"), header(&packed, "etag")), ("gzip", tag.as_str()));
        let mut text = String::new();
        GzDecoder::new(&*packed.body).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }

    let tag = header(&get(&edge, "/t.js", &[]).await, "etag").to_owned();
    let hash = tag.trim_start_matches("W/").trim_matches('"');
    let fixed = get(&edge, &format!("/t/{hash}.js"), &[]).await;
    assert_eq!(
        (fixed.status, header(&fixed, "cache-control")),
        (StatusCode::OK, "public, max-age=31536000, immutable")
    );

    for path in ["/t/M-AAAAAAAAAA.js", "/t/0123.js"] {
        assert_eq!(get(&edge, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let posted = edge.send(Method::POST, "/t.js", &[], "").await;
    assert_eq!((posted.status, header(&posted, "allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn property_decides_its_script_and_what_it_is_told() {
    let site = Site::new();
    let folder = site.path().join("tracker");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("t.js"), "small({/*meridian-settings*/})").unwrap();
    std::fs::write(folder.join("t.full.js"), "full({/*meridian-settings*/})").unwrap();
    let mut config = site.config("127.0.0.1:9");
    config.collect.tracker_dir = Some(folder);
    let source = Source::start(&site).await;
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    let mut property = site.property.clone();

    let own = format!("/t/{}.js", site.measurement_id);
    let mut tags = vec![header(&get(&edge, &own, &[]).await, "etag").to_owned()];
    let id = &site.measurement_id;
    for (rules, expected) in [
        (
            "[tracker]\noutbound = false\ndownloads = \"pdf\"\nendpoint = \"/h\"",
            format!(
                r#"small({{"downloads":"pdf","endpoint":"/h","measurement_id":"{id}","outbound":false}})"#
            ),
        ),
        ("[tracker]\nscroll = true", format!(r#"full({{"measurement_id":"{id}","scroll":true}})"#)),
        (
            "session_timeout_s = 60\n[tracker]\nconsent = \"ask\"",
            format!(r#"full({{"consent":"ask","measurement_id":"{id}","session_timeout_s":60}})"#),
        ),
        ("session_timeout_s = 60", format!(r#"small({{"measurement_id":"{id}"}})"#)),
    ] {
        property = property.with_rules(RulesFile::parse(rules).unwrap(), 1).unwrap().property;
        let mut records = fixture::earlier_rules(&property);
        records.push(fixture::property(&property));
        source.change(records).await;
        let before = tags.last().unwrap().clone();
        let answer = get(&edge, &own, &[("if-none-match", &before)]).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, expected.as_bytes()), "{rules}");
        tags.push(header(&answer, "etag").to_owned());
    }
    let last = tags.pop().unwrap();
    assert_eq!(last, tags[0], "the same script as before the changes has the same tag");
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "each other script has its own");
    assert!(edge.stop().await);
}
