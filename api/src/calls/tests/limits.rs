//! Quotas as callers set and see them, and how often they may call.

use std::time::Duration;

use proto::config::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::ask::Ask;
use super::permissions::report;
use super::world::{ADMIN, World, with};
use crate::authorize::allows;
use crate::config::Config;

fn update(property_id: &str, property: Property, paths: &[&str]) -> UpdatePropertyRequest {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdatePropertyRequest {
        property: Some(Property { property_id: property_id.to_owned(), ..property }),
        update_mask: (!paths.is_empty()).then_some(prost_types::FieldMask { paths }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_set_by_the_operator_and_seen_by_whoever_sees_the_property() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let id = tenant.properties[0].property_id.as_str();
    let quota = Property { daily_hits: 5_000_000_000, hits_per_second: 7, ..Property::default() };
    let updated = world.properties().update_property(with(ADMIN, update(id, quota.clone(), &[]))).await;
    let updated = updated.unwrap().into_inner();
    assert_eq!((updated.daily_hits, updated.hits_per_second), (5_000_000_000, 7));
    for key in [tenant.key("owner"), tenant.key("viewer"), &tenant.config.secret] {
        let get = GetPropertyRequest { property_id: id.to_owned() };
        let seen = world.properties().get_property(with(key, get)).await.unwrap().into_inner();
        assert_eq!((seen.daily_hits, seen.hits_per_second), (5_000_000_000, 7));
    }
    // Named by the field; nothing of the request is done.
    for (property, paths, said) in [
        (
            Property { daily_hits: 9, name: "New".into(), ..Property::default() },
            &[][..],
            "daily_hits is \"9\"",
        ),
        (Property::default(), &["daily_hits", "name"][..], "daily_hits is \"0\""),
        (Property { hits_per_second: 9, ..Property::default() }, &[], "hits_per_second is \"9\""),
        (Property::default(), &["hits_per_second"], "hits_per_second is \"0\""),
    ] {
        let asked = with(tenant.key("owner"), update(id, property, paths));
        let refused = world.properties().update_property(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        assert!(refused.message().starts_with(said) && refused.message().contains("admin key"), "{refused}");
    }
    // What was read may be written back.
    let renamed = Property { name: "New".into(), ..quota };
    let written =
        world.properties().update_property(with(tenant.key("editor"), update(id, renamed, &[]))).await;
    let written = written.unwrap().into_inner();
    assert_eq!((written.name.as_str(), written.daily_hits), ("New", 5_000_000_000));
    // The operator takes it away again.
    let none = update(id, Property::default(), &["daily_hits"]);
    let without = world.properties().update_property(with(ADMIN, none)).await.unwrap().into_inner();
    assert_eq!((without.daily_hits, without.hits_per_second), (0, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_property_has_the_usual_quota_if_its_maker_names_none() {
    let mut config = Config::default();
    (config.quotas.daily_hits, config.quotas.hits_per_second) = (1_000, 20);
    let world = World::start_as(allows, config).await;
    let tenant = world.tenant("mine").await;
    let made = async |key: &str, daily_hits: Option<u64>, hits_per_second: Option<u32>| {
        let organisation_id = tenant.organisation_id.clone();
        let name = "Shop".to_owned();
        let request = CreatePropertyRequest {
            name,
            organisation_id,
            daily_hits,
            hits_per_second,
            ..Default::default()
        };
        let property_id =
            world.properties().create_property(with(key, request)).await?.into_inner().property_id;
        let get = GetPropertyRequest { property_id };
        let property = world.properties().get_property(with(ADMIN, get)).await?.into_inner();
        Ok::<_, Status>((property.daily_hits, property.hits_per_second))
    };
    let editor = tenant.key("editor");
    for (key, daily_hits, hits_per_second, expected) in [
        (editor, None, None, Ok((1_000, 20))),
        (editor, Some(1_000), None, Ok((1_000, 20))),
        (editor, Some(0), None, Err(Code::PermissionDenied)),
        (editor, None, Some(21), Err(Code::PermissionDenied)),
        (ADMIN, None, None, Ok((1_000, 20))),
        (ADMIN, Some(0), None, Ok((0, 20))),
        (ADMIN, Some(9), Some(0), Ok((9, 0))),
    ] {
        let found = made(key, daily_hits, hits_per_second).await.map_err(|status| status.code());
        assert_eq!(found, expected, "{daily_hits:?} {hits_per_second:?}");
    }
}

async fn codes(world: &World, key: &str, asks: impl IntoIterator<Item = Ask>) -> Vec<Code> {
    let mut codes = Vec::new();
    for ask in asks {
        let said = ask.send(world.channel.clone(), key).await;
        codes.push(said.err().map_or(Code::Ok, |status| status.code()));
    }
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_calls_too_often_waits_and_others_do_not() {
    let mut config = Config::default();
    (config.limits.calls_per_second, config.limits.reports_per_second) = (4, 0);
    let world = World::start_as(allows, config).await;
    let tenant = world.tenant("mine").await;
    // What making the tenant took of its owner's key comes back.
    world.clock.advance_ms(60_000);
    let (owner, viewer) = (tenant.key("owner"), tenant.key("viewer"));
    let id = tenant.properties[0].property_id.as_str();
    // Reads, changes and reports are calls: 5 s of 4 a second.
    let read = || Ask::GetProperty(GetPropertyRequest { property_id: id.to_owned() });
    let change = |nth: usize| {
        let property = Property { name: format!("n{nth}"), ..Property::default() };
        Ask::UpdateProperty(update(id, property, &["name"]))
    };
    let mixed = (0..20).map(|nth| match nth % 3 {
        0 => read(),
        1 => change(nth),
        _ => Ask::RunReport(report(id.to_owned())),
    });
    let expected = (0..20).map(|nth| if nth % 3 == 2 { Code::Unavailable } else { Code::Ok });
    assert_eq!(codes(&world, owner, mixed).await, expected.collect::<Vec<_>>());
    let name = |world: &World| {
        let records = world.records();
        StoredProperty::decode(&records[&format!("property/{id}")][..]).unwrap().name
    };
    use prost::Message as _;
    let before = name(&world);
    let more = [read(), change(99), Ask::RunReport(report(id.to_owned()))];
    assert_eq!(codes(&world, owner, more).await, [Code::ResourceExhausted; 3]);
    assert_eq!(name(&world), before);
    let status = read().send(world.channel.clone(), owner).await.unwrap_err();
    assert!(status.message().starts_with("more than 4 calls with this key in a second"), "{status}");
    assert!(status.message().contains("limits.calls_per_second"), "{status}");
    let details = status.get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    assert_eq!(details.error_info().unwrap().reason, "RATE_LIMITED");
    // Another key of the same organisation, and the operator's.
    assert_eq!(codes(&world, viewer, [read()]).await, [Code::Ok]);
    assert_eq!(codes(&world, ADMIN, (0..100).map(|_| read())).await, [Code::Ok; 100]);
    // Who has no key is told so, however often.
    assert_eq!(codes(&world, "mk_nobody", (0..30).map(|_| read())).await, [Code::Unauthenticated; 30]);
    world.clock.advance_ms(500);
    assert_eq!(
        codes(&world, owner, [read(), read(), read()]).await,
        [Code::Ok, Code::Ok, Code::ResourceExhausted]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_a_property_are_limited_whoever_asks() {
    let mut config = Config::default();
    (config.limits.calls_per_second, config.limits.reports_per_second) = (0, 2);
    let world = World::start_as(allows, config).await;
    let tenant = world.tenant("mine").await;
    let [first, second] = [0, 1].map(|nth| tenant.properties[nth].property_id.clone());
    let reports = |id: &str, count: usize| vec![Ask::RunReport(report(id.to_owned())); count];
    let key = &tenant.everywhere.secret;
    // There is no warehouse: what is let through is answered with UNAVAILABLE.
    assert_eq!(codes(&world, key, reports(&first, 6)).await, [Code::Unavailable; 6]);
    let expected = [[Code::Unavailable; 4], [Code::ResourceExhausted; 4]].concat();
    assert_eq!(codes(&world, tenant.key("viewer"), reports(&first, 8)).await, expected);
    assert_eq!(codes(&world, key, reports(&second, 10)).await, [Code::Unavailable; 10]);
    // Who may not have them takes none away.
    let foreign = world.tenant("other").await;
    assert_eq!(codes(&world, foreign.key("owner"), reports(&second, 5)).await, [Code::PermissionDenied; 5]);
    assert_eq!(codes(&world, ADMIN, reports(&first, 20)).await, [Code::Unavailable; 20]);
    world.clock.advance_ms(1_000);
    let expected = [Code::Unavailable, Code::Unavailable, Code::ResourceExhausted];
    assert_eq!(codes(&world, key, reports(&first, 3)).await, expected);
    let status = reports(&first, 1).remove(0).send(world.channel.clone(), key).await.unwrap_err();
    assert!(status.message().starts_with("more than 2 reports of this property in a second"), "{status}");
}
