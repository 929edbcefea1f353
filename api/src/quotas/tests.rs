//! Whom edges are told of, and when, on a history of its own.

use configuration::replica::Records as _;
use property::{NewProperty, PropertyUpdate, QuotaChange};

use super::*;
use crate::history::tests::{NOW_MS, Running, by};
use crate::properties::{create, put_property};

/// Days from 1970-01-01 to 2026-01-01, by `date -d 2026-01-01 +%s` / 86,400.
const NEW_YEAR: i32 = 20_454;

async fn property(running: &Running, time_zone: &str, daily_hits: u64) -> String {
    let quota = QuotaChange { daily_hits: Some(daily_hits), hits_per_second: None };
    let new =
        NewProperty { name: "Shop".into(), time_zone: time_zone.into(), quota, ..NewProperty::default() };
    let make = move |draft: &mut Draft<'_>| create(draft, &new, "", 0, NOW_MS);
    running.history.change(by("CreateProperty"), make).await.unwrap().property_id
}

async fn set_quota(running: &Running, property_id: &str, daily_hits: u64) {
    let property_id = property_id.to_owned();
    let make = move |draft: &mut Draft<'_>| {
        let before = stored::property(draft, &property_id)?.unwrap();
        let quota = QuotaChange { daily_hits: Some(daily_hits), hits_per_second: None };
        let update = PropertyUpdate { quota, ..PropertyUpdate::default() };
        let (property, name) = before.property.updated(&before.name, update, NOW_MS).unwrap();
        let after = stored::NamedProperty { property, name, ..before.clone() };
        put_property(draft, &before, &after);
        Ok(())
    };
    running.history.change(by("UpdateProperty"), make).await.unwrap();
}

async fn note(running: &Running, property_id: &str, local_date: i32, hits: u64) -> u64 {
    let found = [Found { property_id: property_id.to_owned(), local_date, hits }];
    running.history.change(by(METHOD), move |draft| tell(draft, &found, NOW_MS)).await.unwrap()
}

/// What edges get.
async fn at_edges(running: &Running, property_id: &str) -> Option<OverQuota> {
    let version = running.history.position().version;
    let mut moved = running.history.for_edges().watch();
    moved.wait_for(|position| position.version >= version).await.unwrap();
    let key = quota::key(property_id);
    let value = running.history.for_edges().read().unwrap().get(&key).unwrap()?;
    Some(quota::read(&key, &value).unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_told_once_of_a_day_and_again_of_a_raised_quota() {
    let running = Running::start();
    let shop = property(&running, "UTC", 10).await;
    for (daily_hits, local_date, hits, expected) in [
        (10, NEW_YEAR, 9, 0),
        (10, NEW_YEAR - 1, 10, 0),
        (10, NEW_YEAR, 10, 1),
        (10, NEW_YEAR, 15, 0),
        (20, NEW_YEAR, 15, 0),
        (20, NEW_YEAR, 20, 1),
        // It holds under a lower one.
        (5, NEW_YEAR, 20, 0),
        (0, NEW_YEAR, 1_000, 0),
    ] {
        set_quota(&running, &shop, daily_hits).await;
        let told = note(&running, &shop, local_date, hits).await;
        assert_eq!(told, expected, "{hits} of {daily_hits} on {local_date}");
    }
    assert_eq!(at_edges(&running, &shop).await, Some(OverQuota { local_date: NEW_YEAR, daily_hits: 20 }));
    assert_eq!(note(&running, "p_aaaaaaaaaaaa", NEW_YEAR, 5).await, 0, "nobody's");
    let before = running.history.position();
    assert_eq!(note(&running, &shop, NEW_YEAR, 20).await, 0);
    assert_eq!(running.history.position(), before, "what is told already makes no version");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_followed_version_by_version() {
    let running = Running::start();
    let mut known = Known::default();
    let follow = |known: &mut Known| known.follow(&running.history.read().unwrap()).unwrap();
    follow(&mut known);
    assert!(known.is_empty());
    // 00:00 UTC: it is the new year in Kathmandu, and not in New York.
    let nepal = property(&running, "Asia/Kathmandu", 10).await;
    let york = property(&running, "America/New_York", 20).await;
    property(&running, "UTC", 0).await;
    follow(&mut known);
    assert_eq!((known.lowest(), known.ids(2).unwrap().len(), known.ids(1)), (10, 2, None));
    let is_new = |known: &Known, id: &str, local_date, hits| {
        known.is_new(&Found { property_id: id.to_owned(), local_date, hits }, NOW_MS)
    };
    for (id, local_date, hits, expected) in [
        (&nepal, NEW_YEAR, 10, true),
        (&nepal, NEW_YEAR, 9, false),
        (&nepal, NEW_YEAR - 1, 10, false),
        (&york, NEW_YEAR, 20, false),
        (&york, NEW_YEAR - 1, 20, true),
    ] {
        assert_eq!(is_new(&known, id, local_date, hits), expected, "{id} {local_date} {hits}");
    }
    known.told(&Found { property_id: nepal.clone(), local_date: NEW_YEAR, hits: 10 });
    assert!(!is_new(&known, &nepal, NEW_YEAR, 10));
    set_quota(&running, &nepal, 5).await;
    set_quota(&running, &york, 0).await;
    follow(&mut known);
    assert!(is_new(&known, &nepal, NEW_YEAR, 5), "another quota is to be told of");
    assert_eq!((known.lowest(), known.ids(2).unwrap()), (5, vec![nepal.as_str()]));
    // The same for who begins now.
    let mut anew = Known::default();
    follow(&mut anew);
    assert_eq!(anew.ids(2), known.ids(2));
}
