//! Every endpoint takes what is asked of it, and no bytes make a parser panic.

use http::HeaderMap;
use proptest::prelude::*;

use super::*;

const PATHS: [&str; 21] = [
    "/g/collect",
    "/mp/collect",
    "/debug/mp/collect",
    "/collect",
    "/r/collect",
    "/j/collect",
    "/batch",
    "/api/event",
    "/api/send",
    "/api/batch",
    "/matomo.php",
    "/piwik.php",
    "/v1/batch",
    "/v1/t",
    "/v1/track",
    "/v1/p",
    "/v1/page",
    "/v1/screen",
    "/v1/identify",
    "/com.snowplowanalytics.snowplow/tp2",
    "/i",
];

#[test]
fn paths_and_names_are_known() {
    for path in PATHS {
        assert!(Endpoint::of(path).is_some(), "{path}");
    }
    assert_eq!(Endpoint::of("/v1/collect"), None);
    for protocol in Protocol::ALL {
        assert_eq!(Protocol::from_name(protocol.as_str()), Some(protocol));
    }
    assert!(Endpoint::Ga4.takes(&Method::GET) && Endpoint::Ga4.takes(&Method::POST));
    assert!(!Endpoint::Plausible.takes(&Method::GET) && !Endpoint::SnowplowQuery.takes(&Method::POST));
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(
        path in prop::sample::select(&PATHS[..]),
        query in "[a-z_0-9=&%.{}\"\\[\\]:~-]{0,200}",
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "[a-z_0-9=&%.{}\"\\[\\],:\n-]{0,300}".prop_map(String::into_bytes),
        ],
    ) {
        let endpoint = Endpoint::of(path).unwrap();
        let headers = HeaderMap::new();
        let request = Request { path, query: &query, headers: &headers, body: &body };
        match endpoint.parse(&request) {
            Ok(sent) => {
                for entry in &sent.entries {
                    if let crate::Entry::Hit { hit, .. } = entry {
                        hit.check_limits();
                    }
                }
                let outcomes: Vec<Outcome> =
                    sent.entries.iter().map(|_| Outcome::Dropped(crate::Dropped::Kind)).collect();
                let _reply = endpoint.reply(&request, &outcomes);
            }
            Err(refusal) => {
                let _reply = endpoint.refuse(&refusal);
            }
        }
    }
}
