//! Addresses behind proxies.

use super::super::locate::told::LocationHeaders;
use super::*;

/// The address that is found for a request from `peer`, with `client_address_header` set to `named`.
fn found(named: &str, peer: &str, headers: &[(&str, &str)]) -> String {
    let config = Config {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        client_address_header: named.to_owned(),
        ..Config::default()
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Proxies::new(&config).unwrap().client(peer.parse().unwrap(), &map).address.to_string()
}

#[test]
fn forwarded_addresses_count_only_from_trusted_peers() {
    for (peer, lines, expected) in [
        ("203.0.113.9", vec!["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", vec![], "127.0.0.1"),
        ("127.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", vec!["1.1.1.1, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
        ("127.0.0.1", vec!["1.1.1.1", "198.51.100.1", "10.1.1.1"], "198.51.100.1"),
        ("127.0.0.1", vec!["198.51.100.1, nonsense, 10.1.1.1"], "10.1.1.1"),
        ("127.0.0.1", vec!["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("::ffff:127.0.0.1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.7", vec!["198.51.100.1:5000"], "198.51.100.1"),
        ("10.0.0.7", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(found("", peer, &headers), expected, "{peer} {lines:?}");
    }
}

/// Values as in RFC 7239, sections 4 to 7, with addresses of this test's networks where the chain goes on.
#[test]
fn forwarded_elements_are_read_as_rfc_7239_writes_them() {
    for (peer, lines, expected) in [
        ("203.0.113.9", vec!["for=198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", vec!["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
        ("127.0.0.1", vec!["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
        ("127.0.0.1", vec!["for=\"[2001:db8:cafe::17]\""], "2001:db8:cafe::17"),
        ("127.0.0.1", vec!["for=\"192.0.2.43:47011\""], "192.0.2.43"),
        ("127.0.0.1", vec!["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
        ("127.0.0.1", vec!["for=192.0.2.43, for=10.1.1.1"], "192.0.2.43"),
        ("127.0.0.1", vec!["for=192.0.2.43", "for=10.1.1.1;by=10.2.2.2"], "192.0.2.43"),
        ("127.0.0.1", vec!["for=_gazonk"], "127.0.0.1"),
        ("127.0.0.1", vec!["for=192.0.2.43, for=\"_gazonk\", for=10.1.1.1"], "10.1.1.1"),
        ("127.0.0.1", vec!["for=192.0.2.43, for=unknown"], "127.0.0.1"),
        ("127.0.0.1", vec!["for=192.0.2.43, proto=https"], "127.0.0.1"),
        ("127.0.0.1", vec!["secret=\"a, for=1.1.1.1;for=1.1.1.1\";for=192.0.2.43"], "192.0.2.43"),
        // The client's open quote hides nothing.
        ("127.0.0.1", vec!["for=\"1.1.1.1, for=192.0.2.43"], "192.0.2.43"),
        ("127.0.0.1", vec![""], "127.0.0.1"),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        assert_eq!(found("", peer, &headers), expected, "{peer} {lines:?}");
    }
}

#[test]
fn the_named_header_counts_first_and_forwarded_last() {
    let list = ("x-forwarded-for", "198.51.100.1");
    let forwarded = ("forwarded", "for=192.0.2.43");
    for (named, peer, headers, expected) in [
        ("CF-Connecting-IP", "127.0.0.1", vec![("cf-connecting-ip", "203.0.113.5"), list], "203.0.113.5"),
        ("CF-Connecting-IP", "127.0.0.1", vec![("cf-connecting-ip", "2001:db8::5"), list], "2001:db8::5"),
        ("CF-Connecting-IP", "127.0.0.1", vec![("cf-connecting-ip", "nonsense"), list], "198.51.100.1"),
        ("CF-Connecting-IP", "127.0.0.1", vec![list], "198.51.100.1"),
        ("CF-Connecting-IP", "203.0.113.9", vec![("cf-connecting-ip", "203.0.113.5")], "203.0.113.9"),
        (
            "CF-Connecting-IP",
            "127.0.0.1",
            vec![("cf-connecting-ip", "1.1.1.1"), ("cf-connecting-ip", "203.0.113.5")],
            "127.0.0.1",
        ),
        ("True-Client-IP", "127.0.0.1", vec![("true-client-ip", "203.0.113.5"), list], "203.0.113.5"),
        ("Fastly-Client-IP", "127.0.0.1", vec![("fastly-client-ip", "203.0.113.5"), list], "203.0.113.5"),
        ("X-Real-IP", "127.0.0.1", vec![("x-real-ip", "203.0.113.5"), list], "203.0.113.5"),
        ("", "127.0.0.1", vec![("cf-connecting-ip", "203.0.113.5")], "127.0.0.1"),
        ("", "127.0.0.1", vec![forwarded, list], "198.51.100.1"),
        ("Forwarded", "127.0.0.1", vec![forwarded, list], "192.0.2.43"),
        ("Forwarded", "127.0.0.1", vec![list], "198.51.100.1"),
    ] {
        assert_eq!(found(named, peer, &headers), expected, "{named} {peer} {headers:?}");
    }
}

#[test]
fn only_a_trusted_proxy_says_where_a_client_is() {
    let config = Config {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        location_headers: LocationHeaders { country: "CF-IPCountry".into(), ..LocationHeaders::default() },
        ..Config::default()
    };
    let proxies = Proxies::new(&config).unwrap();
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static("cf-ipcountry"), HeaderValue::from_static("DE"))]);
    for (peer, expected) in [("10.0.0.1", Some("DE")), ("203.0.113.9", None)] {
        let located = proxies.client(peer.parse().unwrap(), &headers).located;
        assert_eq!(located.as_ref().map(|located| located.country.as_str()), expected, "{peer}");
    }
}

#[test]
fn settings_that_could_never_count_are_refused() {
    let trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let bad = Config { trusted_proxies: trusted, client_address_header: "a b".into(), ..Config::default() };
    assert!(
        Proxies::new(&bad).unwrap_err().starts_with("collect.client_address_header is \"a b\", which is no")
    );
    let alone = Config { client_address_header: "True-Client-IP".into(), ..Config::default() };
    assert!(Proxies::new(&alone).unwrap_err().starts_with("collect.trusted_proxies is empty"));
}

#[test]
fn only_the_network_part_is_kept() {
    let (v4, v6) = ("203.0.113.9".parse().unwrap(), "2001:db8:1:2::9".parse().unwrap());
    let full_v6 = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9];
    for (address, policy, expected) in [
        (v4, AddressPolicy::Truncated, &[203, 0, 113][..]),
        (v6, AddressPolicy::Truncated, &full_v6[..6]),
        (v4, AddressPolicy::None, &[]),
        (v6, AddressPolicy::None, &[]),
        (v4, AddressPolicy::Full, &[203, 0, 113, 9]),
        (v6, AddressPolicy::Full, &full_v6),
    ] {
        assert_eq!(*kept(address, policy), *expected, "{address} {policy:?}");
    }
}
