//! Keys of every kind against every property.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::history::tests::Running;
use http::HeaderValue;

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_opens_its_own_property_and_no_other() {
    let running = Running::start();
    let (mine, other) = (running.property("Mine").await, running.property("Other").await);
    let authorizer = Authorizer::new(running.history.clone(), KeyHash::of("ak_admin"));
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
        let answer = match authorizer.caller(&headers) {
            Ok(caller) => authorizer.property(&caller, id),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.code), expected, "{headers:?} {id}");
        if let Ok(property) = answer {
            assert_eq!(property.property_id, id);
        }
    }
}

#[test]
fn admin_key_is_made_once_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("below/admin.key");
    let made = admin_key(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("ak_") && made.accepts(text.trim()));
    assert_eq!(admin_key(&path).unwrap(), made);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    std::fs::write(&path, "\n").unwrap();
    assert!(matches!(admin_key(&path), Err(AdminKeyError::TooShort(_))));
}

fn make_key(root: &Path) {
    let path = root.join("lib/admin.key");
    power_loss::step("open");
    admin_key(&path).unwrap();
    power_loss::acknowledged(std::fs::read_to_string(&path).unwrap().trim().to_owned());
}

fn same_key(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let found = admin_key(&root.join("lib/admin.key")).map_err(|error| error.to_string())?;
    match acknowledged.iter().find(|key| !found.accepts(key)) {
        Some(_) => Err("it is another key".into()),
        None => Ok(()),
    }
}

#[test]
fn an_admin_key_in_use_outlives_a_loss_of_power_at_any_call() {
    let test = "authorize::tests::an_admin_key_in_use_outlives_a_loss_of_power_at_any_call";
    power_loss::Case { test, work: make_key, check: same_key, seeds: 1_000, covered: &[], needless: &[] }
        .prove();
}
