//! The audit over gRPC: what was before and after, whose it is, page by page, and never a secret.

use property::KeyHash;
use proto::config::*;
use tonic::Code;

use super::world::{ADMIN, World, with};

async fn changes(world: &World, key: &str, request: ListChangesRequest) -> ListChangesResponse {
    world.organisations().list_changes(with(key, request)).await.unwrap().into_inner()
}

fn field(change: &AuditedChange, record: &str, field: &str) -> Option<(String, String)> {
    let record = change.records.iter().find(|one| one.record == record)?;
    let field = record.fields.iter().find(|one| one.field == field)?;
    Some((field.before.clone(), field.after.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_before_and_after_is_told_newest_first() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let (owner, editor) = (tenant.key("owner"), tenant.key("editor"));
    let property_id = tenant.properties[0].property_id.clone();
    let property = Property {
        property_id: property_id.clone(),
        name: "New name".into(),
        currency: "EUR".into(),
        ..Property::default()
    };
    let update = UpdatePropertyRequest { property: Some(property), update_mask: None };
    world.properties().update_property(with(editor, update)).await.unwrap();
    let rotate = RotateApiSecretRequest { property_id: property_id.clone(), overlap_s: Some(60) };
    world.properties().rotate_api_secret(with(owner, rotate)).await.unwrap();
    let found = changes(&world, owner, ListChangesRequest::default()).await.changes;
    let methods: Vec<_> = found.iter().map(|change| change.method.as_str()).collect();
    assert_eq!(methods[..2], ["RotateApiSecret", "UpdateProperty"]);
    assert_eq!(methods.last(), Some(&"CreateOrganisation"));
    assert!(found.is_sorted_by(|newer, older| newer.version > older.version));
    let (rotated, updated) = (&found[0], &found[1]);
    assert_eq!((updated.actor_kind.as_str(), &updated.actor_id), ("member", &tenant.member_id("editor")));
    assert_eq!(updated.changed_at, "2026-01-01T00:00:00Z");
    let record = format!("property/{property_id}");
    let before_and_after = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
    assert_eq!(field(updated, &record, "name"), before_and_after("\"mine-site-1\"", "\"New name\""));
    assert_eq!(field(updated, &record, "rules.currency"), before_and_after("\"USD\"", "\"EUR\""));
    assert_eq!(field(updated, &record, "hostnames"), None, "it is as it was");
    let fields: Vec<_> = rotated.records[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!((rotated.records.len(), fields), (1, vec!["api_secrets"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_find_each_change_once() {
    let world = World::start().await;
    let (mine, other) = (world.tenant("mine").await, world.tenant("other").await);
    let owner = mine.key("owner");
    let second = mine.properties[1].property_id.clone();
    let mut versions = Vec::new();
    let mut request = ListChangesRequest { page_size: 3, ..ListChangesRequest::default() };
    loop {
        let page = changes(&world, owner, request.clone()).await;
        assert!(page.changes.len() <= 3);
        versions.extend(page.changes.iter().map(|change| change.version));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    // The organisation, three members, two properties, four keys.
    assert_eq!(versions.len(), 10);
    assert!(versions.is_sorted_by(|newer, older| newer > older), "{versions:?}");
    let of = |filter: ListChangesRequest| async {
        let found = changes(&world, owner, filter).await.changes;
        found.into_iter().map(|change| change.method).collect::<Vec<_>>()
    };
    let about = ListChangesRequest { property_id: second, ..ListChangesRequest::default() };
    assert_eq!(of(about.clone()).await, ["CreateProperty"]);
    let by_editor =
        ListChangesRequest { member_id: mine.member_id("editor"), ..ListChangesRequest::default() };
    assert!(of(by_editor).await.is_empty());
    let by_owner = ListChangesRequest { member_id: mine.member_id("owner"), ..ListChangesRequest::default() };
    assert_eq!(of(by_owner).await.len(), 6);
    let theirs = ListChangesRequest {
        property_id: other.properties[0].property_id.clone(),
        ..ListChangesRequest::default()
    };
    assert!(of(theirs).await.is_empty());
    // The admin sees all of them, and finds a property without its organisation.
    let all = changes(&world, ADMIN, ListChangesRequest::default()).await;
    assert_eq!(all.changes.len(), 21, "two organisations and the beginning of the log");
    let page = ListChangesRequest { page_size: 20, ..ListChangesRequest::default() };
    let first = changes(&world, ADMIN, page.clone()).await;
    let rest = changes(&world, ADMIN, ListChangesRequest { page_token: first.next_page_token, ..page }).await;
    assert_eq!([first.changes, rest.changes].concat(), all.changes);
    assert_eq!(changes(&world, ADMIN, about).await.changes.len(), 1);
    for token in ["x", "1", "1/x", "99999999999999999999999/1"] {
        let bad = ListChangesRequest { page_token: token.into(), ..ListChangesRequest::default() };
        let refused = world.organisations().list_changes(with(owner, bad)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{token}");
    }
    let far = ListChangesRequest { page_token: format!("{}/0", u64::MAX), ..ListChangesRequest::default() };
    assert_eq!(changes(&world, ADMIN, far).await.changes.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_and_no_hash_is_in_any_answer() {
    let world = World::start().await;
    let tenant = world.tenant("mine").await;
    let owner = tenant.key("owner");
    let editor =
        RemoveMemberRequest { organisation_id: String::new(), member_id: tenant.member_id("editor") };
    world.organisations().remove_member(with(owner, editor)).await.unwrap();
    let mut secrets: Vec<&str> = ["owner", "editor", "viewer"].map(|role| tenant.key(role)).into();
    secrets.extend(
        [&tenant.reports, &tenant.config, &tenant.everywhere, &tenant.expired].map(|key| key.secret.as_str()),
    );
    secrets.extend(tenant.properties.iter().flat_map(|made| [made.api_secret.as_str(), &made.report_key]));
    let audit = format!("{:?}", changes(&world, owner, ListChangesRequest::default()).await);
    let all = format!("{:?}", changes(&world, ADMIN, ListChangesRequest::default()).await);
    let list = ListKeysRequest::default();
    let keys = format!("{:?}", world.keys().list_keys(with(owner, list)).await.unwrap().into_inner());
    let list = ListMembersRequest::default();
    let members =
        format!("{:?}", world.organisations().list_members(with(owner, list)).await.unwrap().into_inner());
    assert!(
        audit.contains("RemoveMember") && keys.contains("for reports") && members.contains("mine-viewer")
    );
    for secret in secrets {
        let hash = KeyHash::of(secret);
        for text in [&audit, &all, &keys, &members] {
            assert!(!text.contains(secret), "a key is told");
            assert!(!text.contains(&hash.to_string()), "a hash is told");
        }
    }
    // And in the records there is no key in the clear.
    for (key, value) in world.records() {
        let text = String::from_utf8_lossy(&value).into_owned();
        for prefix in ["mk_", "rk_", "sk_"] {
            assert!(!key.contains(prefix) && !text.contains(prefix), "{key}");
        }
    }
}
