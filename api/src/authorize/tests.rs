//! Keys of every kind against every property.

use super::*;
use crate::history::tests::Running;
use http::HeaderValue;
use service::TestClock;

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_opens_its_own_property_and_no_other() {
    let running = Running::start();
    let (mine, other) = (running.property("Mine").await, running.property("Other").await);
    let authorizer =
        Authorizer::new(running.history.clone(), KeyHash::of("ak_admin"), TestClock::new(1).shared());
    let (mine_id, other_id) = (&mine.property_id, &other.property_id);
    let bearer = |key: &str| headers("authorization", &format!("Bearer {key}"));
    let google = |key: &str| headers("x-goog-api-key", key);
    for (headers, id, expected) in [
        (HeaderMap::new(), mine_id.as_str(), Some(Code::Unauthenticated)),
        (headers("authorization", "Basic abc"), mine_id, Some(Code::Unauthenticated)),
        (bearer(""), mine_id, Some(Code::Unauthenticated)),
        (bearer("rk_nobody"), mine_id, Some(Code::Unauthenticated)),
        (bearer(&mine.api_secret), mine_id, Some(Code::Unauthenticated)),
        (bearer(&mine.report_key), mine_id, None),
        (google(&mine.report_key), mine_id, None),
        (headers("authorization", &format!("bearer {}", mine.report_key)), mine_id, None),
        (bearer(&mine.report_key), other_id, Some(Code::PermissionDenied)),
        (bearer(&mine.report_key), "p_aaaaaaaaaaaa", Some(Code::PermissionDenied)),
        (bearer(&mine.report_key), "' OR 1=1", Some(Code::PermissionDenied)),
        (bearer(&mine.report_key), "", Some(Code::InvalidArgument)),
        (bearer("ak_admin"), mine_id, None),
        (google("ak_admin"), other_id, None),
        (bearer("ak_admin"), "p_aaaaaaaaaaaa", Some(Code::NotFound)),
    ] {
        let answer = authorizer.reported(&headers, id);
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.code), expected, "{headers:?} {id}");
        if let Ok(property) = answer {
            assert_eq!(property.property_id, id);
        }
    }
}
